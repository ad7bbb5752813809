//! The gate: what must hold before a task is cancelled. A pure function from evidence to a verdict.
//!
//! It has two parts. What *must be there and hold*: the status, the code, that CloudVision may see the device, that no change
//! control has the task, that it is a plain configuration task, its age, and a second reading. And what must hold *if it is
//! there*, because nobody could check every field on every release. What is missing of the first part, cannot be read, or
//! disagrees with another source means: keep.

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

/// What the gate says about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is empty, and nobody needs it.
    Cancel,
    /// It stays, for all of these reasons.
    Keep(BTreeSet<Reason>),
}

/// Judges the evidence.
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
    /// Whether nothing but the second reading is missing.
    pub fn awaits_second_reading(&self) -> bool {
        matches!(self, Self::Keep(reasons) if reasons.iter().eq([&Reason::SecondReadingDue]))
    }
}
