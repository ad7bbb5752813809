//! What the outcome of a task is for its element. Pure.

use lockstep_cvp::gate::Reason;
use lockstep_cvp::sweep::{Afterwards, Failure, TaskOutcome, TaskReport};
use lockstep_execution::{StepDone, StepFailure, StepResult};
use serde_json::{Value, json};

use crate::arguments::LookAgain;

/// What CloudVision does after a cancel, for people.
pub(crate) const NOT_AGAIN: &str = "CloudVision does not create a cancelled task again by itself";

/// The result of a task that was settled. A device that is no longer compliant after the cancel is a failure: somebody has to look at it.
pub(crate) fn step_result(report: &TaskReport, data: Value) -> StepResult {
    let reasons = report.outcome.reasons().join(", ");
    let done = |message: String, changed: bool, data: Value| {
        Ok(StepDone {
            message: Some(message),
            changed,
            data,
            ..StepDone::default()
        })
    };
    match &report.outcome {
        TaskOutcome::Kept { reasons: kept, error } => {
            let would = kept.iter().eq([&Reason::DryRun]);
            let error = error.as_ref().map_or(String::new(), |error| format!(": {error}"));
            let message = if would {
                "would be cancelled".to_owned()
            } else {
                format!("kept: {reasons}{error}")
            };
            done(message, would, data)
        }
        TaskOutcome::Gone { status } => done(format!("gone: it is {status}"), false, data),
        TaskOutcome::Cancelled { afterwards, .. } => match afterwards {
            Afterwards::Compliant => done(format!("cancelled; {NOT_AGAIN}"), true, data),
            Afterwards::Unknown => done(
                format!("cancelled, but the device could not be checked afterwards; {NOT_AGAIN}"),
                true,
                data,
            ),
            Afterwards::NoLongerCompliant => Err(no_longer_compliant(true, data)),
        },
        TaskOutcome::Failed { failure, error } => {
            let reason = match failure {
                Failure::Note => "note-failed",
                Failure::Refused => "cancel-refused",
                Failure::Lost => "cancel-lost",
                Failure::Unconfirmed => "cancel-unconfirmed",
            };
            Err(StepFailure {
                data,
                ..StepFailure::new(reason, error)
            })
        }
    }
}

/// The result of a device that was checked once more.
pub(crate) fn looked_again(device: &LookAgain, code: Option<&str>, afterwards: Afterwards) -> StepResult {
    let reasons: &[&str] = match afterwards {
        Afterwards::Compliant => &[],
        Afterwards::NoLongerCompliant => &["no-longer-compliant"],
        Afterwards::Unknown => &["last-look-failed"],
    };
    let data = json!({
        "task_id": device.task_id,
        "net_element_id": device.net_element_id,
        "hostname": device.hostname,
        "code": code,
        "action": "looked",
        "reasons": reasons,
    });
    match afterwards {
        Afterwards::Compliant => Ok(StepDone {
            message: Some("still compliant".to_owned()),
            data,
            ..StepDone::default()
        }),
        Afterwards::NoLongerCompliant => Err(no_longer_compliant(false, data)),
        Afterwards::Unknown => Err(StepFailure {
            data,
            ..StepFailure::new("last-look-failed", "CloudVision did not check the device")
        }),
    }
}

fn no_longer_compliant(changed: bool, data: Value) -> StepFailure {
    let message = format!(
        "the device is no longer compliant after its task was cancelled. {NOT_AGAIN}; to get one, change or reconcile the configlets of the device"
    );
    StepFailure {
        changed,
        data,
        ..StepFailure::new("no-longer-compliant", message)
    }
}
