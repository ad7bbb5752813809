use std::collections::BTreeSet;

use jiff::Timestamp;

use super::evidence::Attachment;
use super::policy::Policy;
use super::reason::Reason;
use super::task::{check, check_attachment, require_if_present};
use crate::wire::{InventoryDevice, Task};

/// The reasons to keep a task that follow from the task list, the inventory and the change controls, without further requests. No
/// reasons do not mean that the task is empty: the gate needs its own evidence.
pub fn prefilter(
    task: &Task,
    device: Option<&InventoryDevice>,
    attachment: Attachment,
    policy: &Policy,
    now: Timestamp,
) -> BTreeSet<Reason> {
    let mut reasons = BTreeSet::new();
    check(task, policy, now, &mut reasons);
    check_attachment(attachment, policy, &mut reasons);
    let Some(device) = device else {
        return reasons;
    };
    let compliant = |code: &_| policy.codes.contains(code);
    require_if_present(
        &device.code,
        "complianceCode",
        Reason::NotCompliant,
        compliant,
        &mut reasons,
    );
    require_if_present(
        &device.unauthorized,
        "unAuthorized",
        Reason::Unauthorized,
        |flag| !flag,
        &mut reasons,
    );
    let active = |status: &String| status.eq_ignore_ascii_case("active");
    require_if_present(
        &device.streaming,
        "streamingStatus",
        Reason::NotStreaming,
        active,
        &mut reasons,
    );
    reasons
}
