use serde_json::{Value, json};

use super::{Call, SimulatedResponse, State, tasks};
use crate::cvp::world::{BASE_TIME, ConfigDiff, TaskStatus, empty_as_null};

/// Answers `checkCompliance.do`.
pub(crate) fn check(state: &State, call: &Call) -> SimulatedResponse {
    let (Some(node), Some(kind)) = (call.field("nodeId"), call.field("nodeType")) else {
        return SimulatedResponse::error("132718", "Invalid input parameters");
    };
    if kind.eq_ignore_ascii_case("container") {
        return SimulatedResponse::json(&json!({"data": format!("event_{node}")}));
    }
    let Some(device) = state.world.device(&node) else {
        return SimulatedResponse::error("122801", "Net element does not exist");
    };
    let pending = state
        .world
        .tasks
        .iter()
        .filter(|task| task.device == node && task.status == TaskStatus::Pending);
    let pending: Vec<Value> = pending.map(|task| tasks::value(state, task)).collect();
    let mut answer = device.compliance(&pending);
    if state.knobs.nulls {
        empty_as_null(&mut answer);
    }
    SimulatedResponse::json(&answer)
}

/// Answers `arista.configstatus.v1` by serial number.
pub(crate) fn config_status(state: &State, call: &Call) -> SimulatedResponse {
    let serial = call.parameter("key.deviceId");
    let Some(device) = state.world.devices.iter().find(|device| device.serial == serial) else {
        return SimulatedResponse::resource_error(404, 5, "resource not found");
    };
    let diff = ConfigDiff::of_code(&device.compliance_code);
    let sync = if diff.compliant { "IN_SYNC" } else { "OUT_OF_SYNC" };
    let value: Value = json!({
        "key": {"deviceId": serial},
        "summary": {
            "sync": format!("CONFIG_SYNC_CODE_{sync}"),
            "nopLines": diff.nop,
            "ignoredLines": diff.ignore,
            "addedLines": diff.add,
            "deletedLines": diff.delete,
            "changedLines": diff.change,
            "runningConfigUpdateTime": BASE_TIME,
            "designedConfigUpdateTime": BASE_TIME,
        },
    });
    SimulatedResponse::resource(&value)
}
