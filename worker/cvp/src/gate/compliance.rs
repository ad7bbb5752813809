//! Checks the result of the device's compliance check.

use std::collections::BTreeSet;

use super::policy::Policy;
use super::reason::Reason;
use super::task::{add, require, require_if_present};
use crate::ComplianceCode;
use crate::wire::{Compliance, Task};

pub(super) fn check(
    task: &Task,
    compliance: Option<&Compliance>,
    policy: &Policy,
    reasons: &mut BTreeSet<Reason>,
) {
    let Some(compliance) = compliance else {
        add(reasons, Reason::ComplianceUnreadable);
        return;
    };
    require(
        &compliance.code,
        "complianceCode",
        Reason::NotCompliant,
        |code| policy.codes.contains(code),
        reasons,
    );
    require(
        &compliance.unauthorized,
        "unAuthorized",
        Reason::Unauthorized,
        |unauthorized| !unauthorized,
        reasons,
    );
    require(
        &compliance.device_status,
        "deviceStatus",
        Reason::NotRegistered,
        |status| status.eq_ignore_ascii_case("Registered"),
        reasons,
    );
    require_if_present(
        &compliance.streaming,
        "streamingStatus",
        Reason::NotStreaming,
        |status| status.eq_ignore_ascii_case("active"),
        reasons,
    );
    require_if_present(
        &compliance.ztp_mode,
        "ztpMode",
        Reason::ZeroTouch,
        |ztp| !ztp,
        reasons,
    );
    // A code that the operator allows comes with a warning, which must not keep the task then.
    let acceptable = |indication: &String| {
        matches!(indication.as_str(), "" | "NONE") || compliance.code.get() != Some(&ComplianceCode::InSync)
    };
    require_if_present(
        &compliance.indication,
        "complianceIndication",
        Reason::Indication,
        acceptable,
        reasons,
    );
    check_identity(task, compliance, reasons);
}

/// Checks that the answer is about the device of the task.
fn check_identity(task: &Task, compliance: &Compliance, reasons: &mut BTreeSet<Reason>) {
    let asked = |id: &String| id.is_empty() || id.eq_ignore_ascii_case(task.device());
    require_if_present(
        &compliance.mac,
        "systemMacAddress",
        Reason::Disagreement,
        asked,
        reasons,
    );
    require_if_present(&compliance.key, "key", Reason::Disagreement, asked, reasons);
    let expected = task.details.get().map_or("", |details| details.serial.text());
    let same = |serial: &String| serial.is_empty() || expected.is_empty() || serial == expected;
    require_if_present(
        &compliance.serial,
        "serialNumber",
        Reason::Disagreement,
        same,
        reasons,
    );
}
