//! What the task's own configuration difference must say, where CloudVision has one.

use std::collections::BTreeSet;

use super::evidence::Evidence;
use super::policy::{Policy, TaskDiffPolicy};
use super::reason::Reason;
use super::task::note;
use crate::ComplianceCode;
use crate::wire::{DiffSummary, Field, TaskDiff};

pub(super) fn judge(evidence: &Evidence<'_>, policy: &Policy, reasons: &mut BTreeSet<Reason>) {
    let code = evidence.compliance.and_then(|compliance| compliance.code.get());
    match evidence.diff {
        Some(TaskDiff::Summary(summary)) => judge_summary(summary, code, policy, reasons),
        // Where the code does not say that all is in sync, the difference has to.
        _ if code.is_some_and(|code| *code != ComplianceCode::InSync && policy.codes.contains(code)) => {
            note(reasons, Reason::TaskDiffAbsent);
        }
        Some(TaskDiff::Absent) if policy.task_diff == TaskDiffPolicy::Required => {
            note(reasons, Reason::TaskDiffAbsent);
        }
        None if policy.task_diff != TaskDiffPolicy::Unavailable => note(reasons, Reason::TaskDiffUnreadable),
        Some(TaskDiff::Absent) | None => {}
    }
}

fn judge_summary(
    summary: &DiffSummary,
    code: Option<&ComplianceCode>,
    policy: &Policy,
    reasons: &mut BTreeSet<Reason>,
) {
    if summary.failed() {
        note(reasons, Reason::TaskDiffFailed);
    }
    let empty = match &summary.compliant {
        Field::Is(compliant) => *compliant && summary.counts_nothing(),
        // After an error there may be no verdict; the error is the reason.
        Field::Missing if summary.failed() => return,
        Field::Missing => return note(reasons, Reason::Missing("config_compliance")),
        Field::Unreadable => return note(reasons, Reason::Unreadable("config_compliance")),
    };
    if !empty {
        note(reasons, Reason::TaskDiff);
    }
    if !empty && code.is_some_and(|code| policy.codes.contains(code)) {
        note(reasons, Reason::Disagreement);
    }
}
