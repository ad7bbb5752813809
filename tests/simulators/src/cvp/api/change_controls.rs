use super::{Answer, Call, State};
use crate::cvp::world::ChangeControl;

pub(crate) fn all(state: &State) -> Answer {
    Answer::resources(state.world.change_controls.iter().map(ChangeControl::value))
}

pub(crate) fn one(state: &State, call: &Call) -> Answer {
    let id = call.parameter("key.id");
    match state.world.change_controls.iter().find(|it| it.id == id) {
        Some(found) => Answer::resource(&found.value()),
        None => Answer::resource_error(404, 5, "resource not found"),
    }
}
