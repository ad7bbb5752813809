use std::collections::BTreeMap;

use super::tree_reader::{NeededObjects, TreeReader};
use super::{Change, Contents, IntentProblem, ObjectId, RepositoryKind, settings, templates};
use crate::fleet::{Affected, Groups};

/// Objects to read, each with a path at which it is.
pub type Needed = BTreeMap<ObjectId, Box<[u8]>>;

/// What a change that may be accepted does.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// Whom it concerns.
    pub affected: Affected,
    /// The groups of the new tree; DEFAULT alone in a repository of templates.
    pub groups: Groups,
}

/// How far the examination of a change came.
#[derive(Clone, Debug)]
pub enum Examination {
    /// It needs to see these objects first. Read them into the contents, or say there that they are missing or too large, and
    /// examine again; it ends after a few rounds, since each asks only for what is not there.
    Needs(Needed),
    /// The change may be accepted.
    Sound(Judgement),
    /// The new tree must not be accepted: what is wrong, sorted; all of it, or the first thousand
    /// or so. Never empty.
    Broken(Vec<IntentProblem>),
}

/// Says whether the new tree of a change is sound, and whom the change concerns. What did not change since an accepted tree
/// is not looked at again.
pub fn examine(kind: RepositoryKind, change: &Change<'_>, contents: &Contents) -> Examination {
    let needed = NeededObjects::default();
    let new = TreeReader::new(change.new, contents, &needed);
    let judged = match kind {
        RepositoryKind::Settings => settings::examine(change, &new),
        RepositoryKind::Templates => {
            templates::examine(change, &new, &TreeReader::new(change.old, contents, &needed))
        }
    };
    let needed = needed.into_inner();
    if !needed.is_empty() {
        return Examination::Needs(needed);
    }
    match judged {
        Ok(judgement) => Examination::Sound(judgement),
        Err(mut problems) => {
            problems.sort();
            problems.dedup();
            Examination::Broken(problems)
        }
    }
}
