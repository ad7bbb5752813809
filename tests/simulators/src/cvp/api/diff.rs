use serde_json::{Map, Value, json};

use super::{Call, SimulatedResponse, State};
use crate::cvp::world::{ConfigDiff, Device, Task, image_differs};

/// Answers `GetConfigDiffSummaryForTask`.
pub(crate) fn summary(state: &State, call: &Call) -> SimulatedResponse {
    let Some((task, device)) = task_and_device(state, call) else {
        return no_task();
    };
    let diff = diff_of(task, device);
    let mut summary = json!({
        "config_compliance": diff.compliant,
        "nop": diff.nop,
        "ignore": diff.ignore,
        "add": diff.add,
        "delete": diff.delete,
        "change": diff.change,
        "digest": "9b1f0c6d",
        "error": diff.error,
    });
    if let (true, Some(fields)) = (state.knobs.zeros_left_out, summary.as_object_mut()) {
        leave_zeros_out(fields);
    }
    SimulatedResponse::json(&json!([{"summary": summary}]))
}

/// Answers `GetConfigDiffForTask`: sources, lines, errors.
pub(crate) fn lines(state: &State, call: &Call) -> SimulatedResponse {
    let Some((task, device)) = task_and_device(state, call) else {
        return no_task();
    };
    let diff = diff_of(task, device);
    let source = json!({"source_type": "CONFIG_TYPE_TOMCAT_CONFIGLET", "key": "configlet_1"});
    let mut messages = vec![json!({"sources": {"source": [source]}})];
    let mut lines = Vec::new();
    for (op, count) in [
        ("NOP", diff.nop),
        ("IGNORE", diff.ignore),
        ("ADD", diff.add),
        ("DELETE", diff.delete),
        ("CHANGE", diff.change),
    ] {
        let first = lines.len() + 1;
        lines.extend(
            (first..first + count as usize).map(|line| json!({"op": op, "a_lineno": line, "b_lineno": line})),
        );
    }
    // A stream sends the diff in several messages; clients must join them.
    messages.extend(
        lines
            .chunks(100)
            .map(|entries| json!({"diff": {"entries": entries}})),
    );
    if !diff.error.is_empty() {
        messages.push(json!({"error": {
            "error_code": diff.error, "error_msg": "simulated", "line_num": 0, "configlet_name": "", "config_line_num": 0,
        }}));
    }
    SimulatedResponse::json(&Value::Array(messages))
}

/// Answers `GetImageDiffForTask`.
pub(crate) fn image(state: &State, call: &Call) -> SimulatedResponse {
    let Some((_, device)) = task_and_device(state, call) else {
        return no_task();
    };
    let differs = device.is_some_and(|device| image_differs(device.true_code()));
    let designed = if differs {
        "EOS-4.30.1F.swi"
    } else {
        "EOS-4.28.3M.swi"
    };
    SimulatedResponse::json(&json!([{"diff": {
        "running_image": "EOS-4.28.3M.swi",
        "designed_image": designed,
        "running_extensions": [],
        "designed_extensions": [],
        "image_reboot_required": differs,
    }}]))
}

fn task_and_device<'state>(
    state: &'state State,
    call: &Call,
) -> Option<(&'state Task, Option<&'state Device>)> {
    let task = state.world.task(&call.field("task_id")?)?;
    Some((task, state.world.device(&task.device)))
}

/// The service compares the current designed configuration, even while the compliance code lags.
fn diff_of(task: &Task, device: Option<&Device>) -> ConfigDiff {
    let truth = || ConfigDiff::of_code(device.map_or("0005", Device::true_code));
    task.diff.clone().unwrap_or_else(truth)
}

fn no_task() -> SimulatedResponse {
    SimulatedResponse::resource_error(404, 5, "task not found")
}

fn leave_zeros_out(fields: &mut Map<String, Value>) {
    fields.retain(|_, value| match value {
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_u64() != Some(0),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}
