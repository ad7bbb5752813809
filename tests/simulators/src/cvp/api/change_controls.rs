use super::{Call, SimulatedResponse, State};
use crate::cvp::world::ChangeControl;

pub(crate) fn all(state: &State) -> SimulatedResponse {
    SimulatedResponse::resources(state.world.change_controls.iter().map(ChangeControl::value))
}

pub(crate) fn one(state: &State, call: &Call) -> SimulatedResponse {
    let id = call.parameter("key.id");
    match state.world.change_controls.iter().find(|it| it.id == id) {
        Some(found) => SimulatedResponse::resource(&found.value()),
        None => SimulatedResponse::resource_error(404, 5, "resource not found"),
    }
}
