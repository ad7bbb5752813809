use crate::fleet::{Affected, Groups};
use crate::{ConcernedPaths, IntentProblem};

/// What a valid change does.
#[derive(Clone, Debug, Default)]
pub struct ChangeImpact {
    /// The devices that the change concerns.
    pub affected: Affected,
    /// The changed paths that concern them, for people.
    pub paths: ConcernedPaths,
    /// The groups of the new tree; DEFAULT alone in a templates repository.
    pub groups: Groups,
    /// What the new tree holds that has no effect, such as a misspelled folder; sorted. It does not make the tree invalid.
    pub warnings: Vec<IntentProblem>,
}
