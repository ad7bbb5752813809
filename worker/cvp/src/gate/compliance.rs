//! What the check of the device must say.

use std::collections::BTreeSet;

use super::policy::Policy;
use super::reason::Reason;
use super::task::{may, must, note};
use crate::ComplianceCode;
use crate::wire::{Compliance, Task};

pub(super) fn judge(
    task: &Task,
    compliance: Option<&Compliance>,
    policy: &Policy,
    reasons: &mut BTreeSet<Reason>,
) {
    let Some(compliance) = compliance else {
        note(reasons, Reason::ComplianceUnreadable);
        return;
    };
    must(
        &compliance.code,
        "complianceCode",
        Reason::NotCompliant,
        |code| policy.codes.contains(code),
        reasons,
    );
    must(
        &compliance.unauthorized,
        "unAuthorized",
        Reason::Unauthorized,
        |unauthorized| !unauthorized,
        reasons,
    );
    must(
        &compliance.device_status,
        "deviceStatus",
        Reason::NotRegistered,
        |status| status.eq_ignore_ascii_case("Registered"),
        reasons,
    );
    may(
        &compliance.streaming,
        "streamingStatus",
        Reason::NotStreaming,
        |status| status.eq_ignore_ascii_case("active"),
        reasons,
    );
    may(
        &compliance.ztp_mode,
        "ztpMode",
        Reason::ZeroTouch,
        |ztp| !ztp,
        reasons,
    );
    // A device that is out of sync in a way the operator allows is warned about: that is what was allowed.
    let warned = |indication: &String| {
        matches!(indication.as_str(), "" | "NONE") || compliance.code.get() != Some(&ComplianceCode::InSync)
    };
    may(
        &compliance.indication,
        "complianceIndication",
        Reason::Indication,
        warned,
        reasons,
    );
    judge_identity(task, compliance, reasons);
}

/// The answer must be about the device that was asked about.
fn judge_identity(task: &Task, compliance: &Compliance, reasons: &mut BTreeSet<Reason>) {
    let asked = |id: &String| id.is_empty() || id.eq_ignore_ascii_case(task.device());
    may(
        &compliance.mac,
        "systemMacAddress",
        Reason::Disagreement,
        asked,
        reasons,
    );
    may(&compliance.key, "key", Reason::Disagreement, asked, reasons);
    let expected = task.details.get().map_or("", |details| details.serial.text());
    let same = |serial: &String| serial.is_empty() || expected.is_empty() || serial == expected;
    may(
        &compliance.serial,
        "serialNumber",
        Reason::Disagreement,
        same,
        reasons,
    );
}
