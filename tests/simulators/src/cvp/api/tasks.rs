use serde_json::{Value, json};

use super::{Call, SimulatedResponse, State};
use crate::cvp::world::{Device, Task, TaskStatus, empty_as_null};

pub(crate) fn list(state: &State, call: &Call) -> SimulatedResponse {
    let text = call.parameter("queryparam");
    let devices = state.world.devices_by_mac();
    let device = |task: &Task| devices.get(task.device.as_str()).copied();
    let tasks = state.world.tasks.iter();
    let matching: Vec<&Task> = tasks.filter(|task| task.matches(&text, device(task))).collect();
    let index = |name: &str| call.parameter(name).parse::<usize>().unwrap_or(0);
    let (start, end) = (index("startIndex"), index("endIndex"));
    if state.knobs.endless_tasks {
        return endless(start..end);
    }
    // Zero means all tasks.
    let end = if end == 0 {
        matching.len()
    } else {
        end + usize::from(state.knobs.end_index_inclusive)
    };
    let rows = matching.get(start..end.min(matching.len())).unwrap_or_default();
    let rows = rows.iter().map(|task| written(state, task, device(task)));
    SimulatedResponse::page_of(matching.len(), rows)
}

/// A full page, whatever is asked for.
fn endless(rows: std::ops::Range<usize>) -> SimulatedResponse {
    let row = |number: usize| json!({"workOrderId": format!("endless{number}"), "workOrderUserDefinedStatus": "Pending"});
    let data: Vec<Value> = rows.map(row).collect();
    SimulatedResponse::json(&json!({"data": data}))
}

pub(crate) fn one(state: &State, call: &Call) -> SimulatedResponse {
    match state.world.task(&call.parameter("taskId")) {
        Some(task) => SimulatedResponse::json(&value(state, task)),
        None => invalid_id(),
    }
}

pub(crate) fn status(state: &State, call: &Call) -> SimulatedResponse {
    match state.world.task(&call.parameter("taskId")) {
        Some(task) => SimulatedResponse::json(&json!({"taskStatus": task.status.wire_name()})),
        None => invalid_id(),
    }
}

/// Triggers every possible cancellation; the error of the first impossible one is the response.
pub(crate) fn cancel(state: &mut State, call: &Call) -> SimulatedResponse {
    let Some(ids) = call.ids() else {
        return invalid_input();
    };
    let mut refused = None;
    for id in ids {
        match cancel_one(state, &id) {
            Ok(()) => {}
            Err(answer) => refused = refused.or(Some(answer)),
        }
    }
    refused.unwrap_or_else(|| {
        SimulatedResponse::json(&json!({"data": "Task cancellation triggered successfully"}))
    })
}

fn cancel_one(state: &mut State, id: &str) -> Result<(), SimulatedResponse> {
    let protected = state.knobs.change_control_protects && state.world.is_in_open_change_control(id);
    let task = state.world.tasks.iter_mut().find(|task| task.id == id);
    let task = task.ok_or_else(invalid_id)?;
    match task.status {
        TaskStatus::Cancelled if state.knobs.cancel_twice_succeeds => return Ok(()),
        _ if task.is_being_cancelled() => return Ok(()),
        TaskStatus::Pending | TaskStatus::Failed if !protected => {}
        _ => return Err(invalid_input()),
    }
    task.begins_to_end(TaskStatus::Cancelled);
    state.cancelled.push(id.to_owned());
    state.settle();
    Ok(())
}

pub(crate) fn execute(state: &mut State, call: &Call) -> SimulatedResponse {
    let Some(ids) = call.ids() else {
        return invalid_input();
    };
    for id in ids {
        let Some(task) = state.world.tasks.iter_mut().find(|task| task.id == id) else {
            return invalid_id();
        };
        if !matches!(task.status, TaskStatus::Pending | TaskStatus::Failed) {
            return invalid_input();
        }
        task.execute(&state.accounts.username);
        task.begins_to_end(TaskStatus::Completed);
    }
    state.settle();
    SimulatedResponse::json(&json!({"data": "success"}))
}

pub(crate) fn note(state: &mut State, call: &Call) -> SimulatedResponse {
    let (Some(id), Some(note)) = (call.field("workOrderId"), call.field("note")) else {
        return invalid_input();
    };
    match state.world.tasks.iter_mut().find(|task| task.id == id) {
        Some(task) => {
            task.note = note;
            SimulatedResponse::json(&json!({"data": "success"}))
        }
        None => invalid_id(),
    }
}

/// The task object in the format of this installation.
pub(crate) fn value(state: &State, task: &Task) -> Value {
    written(state, task, state.world.device(&task.device))
}

fn written(state: &State, task: &Task, device: Option<&Device>) -> Value {
    let mut value = task.value(device, state.knobs.ids_as_numbers);
    if state.knobs.nulls {
        empty_as_null(&mut value);
    }
    value
}

fn invalid_id() -> SimulatedResponse {
    SimulatedResponse::error("142WF606", "Invalid WorkOrderId")
}

fn invalid_input() -> SimulatedResponse {
    SimulatedResponse::error("132718", "Invalid input parameters")
}
