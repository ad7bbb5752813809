use super::bounds::MOST_LINKS;
use super::cancellation::Cancellation;
use super::contents::{ExamineError, ObjectReader, ReadObjects};
use super::tree_reader::{LinkTargets, TreeReader};
use super::{Change, ChangeImpact, IntentProblem, RepositoryKind, settings, templates};

/// The outcome of the examination of a change.
#[derive(Clone, Debug)]
pub enum Examination {
    /// The new tree is valid and may be accepted.
    Valid(Box<ChangeImpact>),
    /// The new tree is invalid and must not be accepted. The problems are sorted and never empty; after about a thousand,
    /// the rest is left out.
    Invalid(Vec<IntentProblem>),
}

/// Checks whether the new tree of a change is valid, and finds the devices that the change concerns. Files that did not change
/// since the accepted tree are not checked again. What is read, and how much of it is kept, has the bounds in
/// [`bounds`](super::bounds); each object is read and checked once.
///
/// # Errors
/// If the objects cannot be read, or the caller cancels.
pub fn examine<R: ReadObjects>(
    kind: RepositoryKind,
    change: &Change<'_>,
    objects: &mut R,
    cancellation: &Cancellation<'_>,
) -> Result<Examination, ExamineError<R::Error>> {
    if let Some(link) = change.new.links().nth(MOST_LINKS) {
        let reason = format!("the tree has more symbolic links than the limit of {MOST_LINKS}; remove some");
        return Ok(Examination::Invalid(vec![IntentProblem::whole(
            &link.path, reason,
        )]));
    }
    let mut reader = ObjectReader::new(objects, cancellation);
    let trees: &[&super::Listing] = match kind {
        RepositoryKind::Settings => &[change.new],
        RepositoryKind::Templates => &[change.new, change.old],
    };
    let targets = LinkTargets::read(trees, &mut reader)?;
    let new = TreeReader::new(change.new, &targets, cancellation);
    let examined = match kind {
        RepositoryKind::Settings => settings::examine(change, &new, &mut reader)?,
        RepositoryKind::Templates => {
            let old = TreeReader::new(change.old, &targets, cancellation);
            templates::examine(change, &new, &old, &mut reader)?
        }
    };
    // Loops that were cancelled ended early, so the outcome is incomplete.
    cancellation.check()?;
    Ok(match examined {
        Ok(impact) => Examination::Valid(Box::new(impact)),
        Err(mut problems) => {
            problems.sort();
            problems.dedup();
            Examination::Invalid(problems)
        }
    })
}
