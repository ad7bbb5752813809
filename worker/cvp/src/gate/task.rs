//! Checks the task itself, the change controls, and the other tasks of its device.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::evidence::{Attachment, Evidence};
use super::policy::{ChangeControlPolicy, Policy};
use super::reason::Reason;
use crate::wire::{Field, Task, TaskData};

/// The only kind of task that may be cancelled.
const CONFIGURATION: &str = "Configlet Push";

/// Checks the task alone.
pub(super) fn check(task: &Task, policy: &Policy, now: Timestamp, reasons: &mut BTreeSet<Reason>) {
    require(
        &task.id,
        "workOrderId",
        Reason::TaskUnreadable,
        |id| !id.is_empty(),
        reasons,
    );
    require(
        &task.status,
        "workOrderUserDefinedStatus",
        Reason::NotPending,
        |status| status == "Pending",
        reasons,
    );
    require_if_present(
        &task.step,
        "currentTaskName",
        Reason::Busy,
        |step| step == "Submit",
        reasons,
    );
    require_if_present(
        &task.task_status,
        "taskStatus",
        Reason::Busy,
        |status| status.is_empty() || status.eq_ignore_ascii_case("ACTIVE"),
        reasons,
    );
    require_if_present(
        &task.status_before_cancel,
        "taskStatusBeforeCancel",
        Reason::Busy,
        String::is_empty,
        reasons,
    );
    require_if_present(
        &task.executed_by,
        "executedBy",
        Reason::Busy,
        String::is_empty,
        reasons,
    );
    require_if_present(
        &task.executed_ms,
        "executedOnInLongFormat",
        Reason::Busy,
        |at| *at == 0,
        reasons,
    );
    for (field, name) in [
        (&task.change_control, "ccIdV2"),
        (&task.change_control_old, "ccId"),
        (&task.stage, "stageId"),
    ] {
        require_if_present(field, name, Reason::ChangeControl, String::is_empty, reasons);
    }
    require(
        &task.created_ms,
        "createdOnInLongFormat",
        Reason::TooYoung,
        |created| is_old(*created, policy.min_age, now),
        reasons,
    );
    match &task.data {
        Field::Is(data) => check_data(data, reasons),
        Field::Missing => add(reasons, Reason::Missing("data")),
        Field::Unreadable => add(reasons, Reason::Unreadable("data")),
    }
    check_device(task, reasons);
}

fn check_data(data: &TaskData, reasons: &mut BTreeSet<Reason>) {
    require(
        &data.action,
        "WORKFLOW_ACTION",
        Reason::NotConfiguration,
        |action| action == CONFIGURATION,
        reasons,
    );
    require(
        &data.add_or_move,
        "IS_ADD_OR_MOVE_FLOW",
        Reason::Move,
        |moves| !moves,
        reasons,
    );
    require_if_present(
        &data.view,
        "VIEW",
        Reason::NotConfiguration,
        |view| view.is_empty() || view == "CONFIG",
        reasons,
    );
    require_if_present(
        &data.rollback,
        "isRollbackTask",
        Reason::Rollback,
        |rolls| !rolls,
        reasons,
    );
    require_if_present(
        &data.snapshot_rollback,
        "isRollbackFromSnapshotFlow",
        Reason::Rollback,
        |rolls| !rolls,
        reasons,
    );
    require_if_present(
        &data.replacement,
        "ZERO_TOUCH_REPLACEMENT",
        Reason::Replacement,
        String::is_empty,
        reasons,
    );
    require_if_present(
        &data.change_control_old,
        "data.ccId",
        Reason::ChangeControl,
        String::is_empty,
        reasons,
    );
    for (field, name) in [
        (&data.current_container, "currentparentContainerId"),
        (&data.new_container, "newparentContainerId"),
    ] {
        require_if_present(field, name, Reason::Move, |_| true, reasons);
    }
    // A container on one side only means that the device is added or removed.
    if data.current_container.text() != data.new_container.text() {
        add(reasons, Reason::Move);
    }
}

/// Checks the device id, which a task has in up to three places: those that are present must be equal.
fn check_device(task: &Task, reasons: &mut BTreeSet<Reason>) {
    if task.device().is_empty() {
        add(reasons, Reason::Missing("netElementId"));
    }
    let details = task.details.get();
    if matches!(task.details, Field::Unreadable) {
        add(reasons, Reason::Unreadable("workOrderDetails"));
    }
    let places = [
        task.data
            .get()
            .map(|data| (&data.net_element_id, "NETELEMENT_ID")),
        Some((&task.net_element_id, "netElementId")),
        details.map(|details| (&details.net_element_id, "workOrderDetails.netElementId")),
    ];
    for (field, name) in places.into_iter().flatten() {
        let same = |id: &String| id.is_empty() || id.eq_ignore_ascii_case(task.device());
        require_if_present(field, name, Reason::Disagreement, same, reasons);
    }
}

/// Checks change controls and the other tasks of the device.
pub(super) fn check_related(evidence: &Evidence<'_>, policy: &Policy, reasons: &mut BTreeSet<Reason>) {
    check_attachment(evidence.attachment, policy, reasons);
    if evidence.tasks_on_device > 1 {
        add(reasons, Reason::SeveralTasks);
    }
    let Some(compliance) = evidence.compliance else {
        return;
    };
    match &compliance.tasks {
        Field::Is(tasks) => {
            let mut others = tasks
                .iter()
                .filter(|other| other.id != evidence.task.id)
                .filter(|other| other.status.text().eq_ignore_ascii_case("Pending"));
            if others.next().is_some() {
                add(reasons, Reason::SeveralTasks);
            }
        }
        Field::Missing => {}
        Field::Unreadable => add(reasons, Reason::Unreadable("taskIdList")),
    }
}

pub(super) fn check_attachment(attachment: Attachment, policy: &Policy, reasons: &mut BTreeSet<Reason>) {
    match (attachment, policy.change_controls) {
        (Attachment::Free, _) | (Attachment::Unknown, ChangeControlPolicy::Unavailable) => {}
        (Attachment::Held, _) => add(reasons, Reason::ChangeControl),
        (Attachment::Unknown, ChangeControlPolicy::Required) => {
            add(reasons, Reason::ChangeControlsUnreadable);
        }
    }
}

/// Whether a task has the least age. A time in the future or an invalid time does not.
fn is_old(created_ms: i64, min_age: Duration, now: Timestamp) -> bool {
    let Ok(created) = Timestamp::from_millisecond(created_ms) else {
        return false;
    };
    created_ms > 0
        && SignedDuration::try_from(min_age).is_ok_and(|least| now.duration_since(created) >= least)
}

/// Adds a reason if a field is missing, cannot be read, or does not satisfy the condition.
pub(super) fn require<T>(
    field: &Field<T>,
    name: &'static str,
    otherwise: Reason,
    holds: impl FnOnce(&T) -> bool,
    reasons: &mut BTreeSet<Reason>,
) {
    match field {
        Field::Missing => add(reasons, Reason::Missing(name)),
        field => require_if_present(field, name, otherwise, holds, reasons),
    }
}

/// Adds a reason if a field is present and cannot be read or does not satisfy the condition.
pub(super) fn require_if_present<T>(
    field: &Field<T>,
    name: &'static str,
    otherwise: Reason,
    holds: impl FnOnce(&T) -> bool,
    reasons: &mut BTreeSet<Reason>,
) {
    match field {
        Field::Missing => {}
        Field::Unreadable => add(reasons, Reason::Unreadable(name)),
        Field::Is(value) if holds(value) => {}
        Field::Is(_) => add(reasons, otherwise),
    }
}

pub(super) fn add(reasons: &mut BTreeSet<Reason>, reason: Reason) {
    reasons.insert(reason);
}
