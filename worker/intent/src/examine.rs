use std::collections::BTreeMap;

use super::tree_reader::{NeededObjects, TreeReader};
use super::{Change, ChangeImpact, Contents, IntentProblem, ObjectId, RepositoryKind, settings, templates};

/// Objects to read, each with a path at which it is.
pub type Needed = BTreeMap<ObjectId, Box<[u8]>>;

/// The state of the examination of a change.
#[derive(Clone, Debug)]
pub enum Examination {
    /// The contents of these objects are needed. Add them to the contents, or add that they are missing or too large, and examine
    /// again. This ends after a few rounds, since each round asks only for contents that are not there.
    Needs(Needed),
    /// The new tree is valid and may be accepted.
    Valid(ChangeImpact),
    /// The new tree is invalid and must not be accepted. The problems are sorted and never empty; after about a thousand,
    /// the rest is left out.
    Invalid(Vec<IntentProblem>),
}

/// Checks whether the new tree of a change is valid, and finds the devices that the change concerns. Files that did not change
/// since the accepted tree are not checked again.
pub fn examine(kind: RepositoryKind, change: &Change<'_>, contents: &Contents) -> Examination {
    let needed = NeededObjects::default();
    let new = TreeReader::new(change.new, contents, &needed);
    let examined = match kind {
        RepositoryKind::Settings => settings::examine(change, &new),
        RepositoryKind::Templates => {
            templates::examine(change, &new, &TreeReader::new(change.old, contents, &needed))
        }
    };
    let needed = needed.into_inner();
    if !needed.is_empty() {
        return Examination::Needs(needed);
    }
    match examined {
        Ok(impact) => Examination::Valid(impact),
        Err(mut problems) => {
            problems.sort();
            problems.dedup();
            Examination::Invalid(problems)
        }
    }
}
