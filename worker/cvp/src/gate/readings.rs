//! Checks the two readings: they must be some time apart, and equal.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::evidence::Evidence;
use super::policy::Policy;
use super::reason::Reason;
use super::task::add;
use crate::wire::{Field, Task};

pub(super) fn check(
    evidence: &Evidence<'_>,
    policy: &Policy,
    now: Timestamp,
    reasons: &mut BTreeSet<Reason>,
) {
    let Some(earlier) = evidence.earlier else {
        return add(reasons, Reason::SecondReadingDue);
    };
    let since = now.duration_since(earlier.at);
    if SignedDuration::try_from(policy.reading_gap).is_ok_and(|gap| since < gap) {
        add(reasons, Reason::SecondReadingDue);
    }
    if !policy.codes.contains(&earlier.code) {
        add(reasons, Reason::NotCompliant);
    }
    let code = evidence.compliance.and_then(|compliance| compliance.code.get());
    if code.is_some_and(|code| *code != earlier.code) || !same(&earlier.task, evidence.task) {
        add(reasons, Reason::Changed);
    }
}

/// Compares two readings without the note, which Lockstep writes between them.
fn same(earlier: &Task, task: &Task) -> bool {
    let without_note = |task: &Task| Task {
        note: Field::Missing,
        ..task.clone()
    };
    without_note(earlier) == without_note(task)
}
