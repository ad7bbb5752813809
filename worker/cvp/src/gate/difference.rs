//! Checks the task's own configuration difference, where CloudVision has one.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use super::policy::{Policy, TaskDiffPolicy};
use super::reason::Reason;
use super::task::add;
use crate::ComplianceCode;
use crate::wire::{DiffSummary, Field, TaskDiff};

pub(super) fn check(evidence: &Evidence<'_>, policy: &Policy, reasons: &mut BTreeSet<Reason>) {
    let code = evidence.compliance.and_then(|compliance| compliance.code.get());
    match evidence.diff {
        Some(TaskDiff::Summary(summary)) => check_summary(summary, code, policy, reasons),
        // If the code does not say that the device is in sync, an empty difference is required.
        _ if code.is_some_and(|code| *code != ComplianceCode::InSync && policy.codes.contains(code)) => {
            add(reasons, Reason::TaskDiffAbsent);
        }
        Some(TaskDiff::Absent) if policy.task_diff == TaskDiffPolicy::Required => {
            add(reasons, Reason::TaskDiffAbsent);
        }
        None if policy.task_diff != TaskDiffPolicy::Unavailable => add(reasons, Reason::TaskDiffUnreadable),
        Some(TaskDiff::Absent) | None => {}
    }
}

fn check_summary(
    summary: &DiffSummary,
    code: Option<&ComplianceCode>,
    policy: &Policy,
    reasons: &mut BTreeSet<Reason>,
) {
    if summary.failed() {
        add(reasons, Reason::TaskDiffFailed);
    }
    let empty = match &summary.compliant {
        Field::Is(compliant) => *compliant && summary.counts_nothing(),
        // After an error the verdict may be missing; the error is the reason then.
        Field::Missing if summary.failed() => return,
        Field::Missing => return add(reasons, Reason::Missing("config_compliance")),
        Field::Unreadable => return add(reasons, Reason::Unreadable("config_compliance")),
    };
    if !empty {
        add(reasons, Reason::TaskDiff);
    }
    if !empty && code.is_some_and(|code| policy.codes.contains(code)) {
        add(reasons, Reason::Disagreement);
    }
}
