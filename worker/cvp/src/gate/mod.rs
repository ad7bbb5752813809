//! The gate decides whether a task is cancelled or kept. It is a pure function from evidence to a verdict.
//!
//! It has two kinds of conditions. *Required* ones need their field: the status, the code, that CloudVision can log in to the device,
//! that no change control has the task, that it is a plain configuration task, its age, and a second reading. *Optional* ones are
//! checked only if their field is present, since releases differ in their fields. A task is kept if a required field is missing, a
//! field cannot be read, a condition does not hold, or two sources disagree.

mod compliance;
mod difference;
mod evidence;
mod policy;
mod prefilter;
mod readings;
mod reason;
mod task;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub use evidence::{Attachment, Evidence, Reading};
pub use policy::{ChangeControlPolicy, Policy, TaskDiffPolicy};
pub use prefilter::prefilter;
pub use reason::{Emptiness, Reason};

/// The decision about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The task is empty and can be cancelled.
    Cancel,
    /// The task is kept, for all of these reasons.
    Keep(BTreeSet<Reason>),
}

/// Decides about a task. `now` is the time of the decision, for ages.
pub fn decide(evidence: &Evidence<'_>, policy: &Policy, now: Timestamp) -> Verdict {
    let mut reasons = BTreeSet::new();
    task::check(evidence.task, policy, now, &mut reasons);
    task::check_related(evidence, policy, &mut reasons);
    compliance::check(evidence.task, evidence.compliance, policy, &mut reasons);
    difference::check(evidence, policy, &mut reasons);
    readings::check(evidence, policy, now, &mut reasons);
    if reasons.is_empty() {
        Verdict::Cancel
    } else {
        Verdict::Keep(reasons)
    }
}

impl Verdict {
    /// Whether only the second reading is missing.
    pub fn awaits_second_reading(&self) -> bool {
        matches!(self, Self::Keep(reasons) if reasons.iter().eq([&Reason::SecondReadingDue]))
    }
}
