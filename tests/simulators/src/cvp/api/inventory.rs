use serde_json::{Value, json};

use super::{Call, SimulatedResponse, State};
use crate::cvp::world::{BASE_TIME_MS, Container, Device};

pub(crate) fn devices(state: &State) -> SimulatedResponse {
    SimulatedResponse::list(state.world.devices.iter().map(Device::inventory_row))
}

pub(crate) fn containers(state: &State) -> SimulatedResponse {
    let rows = state.world.containers.iter().map(|container| {
        json!({"Key": container.key, "Name": container.name, "CreatedBy": "cvp system", "CreatedOn": BASE_TIME_MS, "Mode": "expand"})
    });
    SimulatedResponse::json(&rows.collect())
}

pub(crate) fn container_info(state: &State, call: &Call) -> SimulatedResponse {
    let key = call.parameter("containerId");
    match state
        .world
        .containers
        .iter()
        .find(|container| container.key == key)
    {
        Some(container) => SimulatedResponse::json(&container_row(container)),
        None => SimulatedResponse::error("132801", "Entity does not exist"),
    }
}

/// Devices and containers whose names contain the text.
pub(crate) fn topology(state: &State, call: &Call, new_form: bool) -> SimulatedResponse {
    let text = call.parameter("queryParam").to_lowercase();
    let has = |values: &[&str]| values.iter().any(|value| value.to_lowercase().contains(&text));
    let devices = state.world.devices.iter();
    let devices: Vec<&Device> = devices
        .filter(|device| has(&[&device.fqdn(), &device.mac, &device.serial, &device.ip_address]))
        .collect();
    let containers = state.world.containers.iter();
    let containers: Vec<Value> = containers
        .filter(|container| has(&[&container.name]))
        .map(container_row)
        .collect();
    let places = devices.iter().map(|device| {
        let (key, name) = &device.container;
        json!({"netElementKey": device.mac, "containerKey": key, "containerName": name})
    });
    let rows = devices.iter().map(|device| device.topology_row(new_form));
    SimulatedResponse::json(&json!({
        "total": devices.len() + containers.len(),
        "keywordList": [],
        "containerList": containers,
        "netElementList": rows.collect::<Vec<_>>(),
        "netElementContainerList": places.collect::<Vec<_>>(),
    }))
}

/// Answers a device of the resource API by serial number.
pub(crate) fn resource(state: &State, call: &Call) -> SimulatedResponse {
    let serial = call.parameter("key.deviceId");
    match state.world.devices.iter().find(|device| device.serial == serial) {
        Some(device) => SimulatedResponse::resource(&device.resource()),
        None => SimulatedResponse::resource_error(404, 5, "resource not found"),
    }
}

fn container_row(container: &Container) -> Value {
    let mut row =
        json!({"key": container.key, "name": container.name, "type": "container", "mode": "expand"});
    if let Some(parent) = &container.parent {
        row["parentName"] = json!(parent);
    }
    row
}
