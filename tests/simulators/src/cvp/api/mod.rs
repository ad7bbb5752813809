//! The responses of the endpoints.

mod call;
mod change_controls;
mod compliance;
mod diff;
mod inventory;
mod login;
mod tasks;

use serde_json::json;

use super::answer::SimulatedResponse;
use super::endpoint::Endpoint;
use super::state::State;
use super::version::Version;
use super::world::Device;

pub(crate) use call::Call;

/// Answers an authorized request.
pub(crate) fn dispatch(state: &mut State, call: &Call) -> SimulatedResponse {
    match call.endpoint {
        Endpoint::Login => login::login(state, call),
        Endpoint::Logout => login::logout(state, call),
        Endpoint::Probe => SimulatedResponse::json(&json!({})),
        Endpoint::Info => SimulatedResponse::json(&json!({"version": state.version.to_string()})),
        Endpoint::Tasks => tasks::list(state, call),
        Endpoint::Task => tasks::one(state, call),
        Endpoint::TaskStatus => tasks::status(state, call),
        Endpoint::Cancel => tasks::cancel(state, call),
        Endpoint::Execute => tasks::execute(state, call),
        Endpoint::Note => tasks::note(state, call),
        Endpoint::Logs => SimulatedResponse::json(&json!({"total": 0, "data": []})),
        Endpoint::Compliance => compliance::check(state, call),
        Endpoint::ConfigStatus => compliance::config_status(state, call),
        Endpoint::DiffSummary => diff::summary(state, call),
        Endpoint::Diff => diff::lines(state, call),
        Endpoint::ImageDiff => diff::image(state, call),
        Endpoint::Devices => inventory::devices(state),
        Endpoint::Containers => inventory::containers(state),
        Endpoint::ContainerInfo => inventory::container_info(state, call),
        Endpoint::OldTopology => inventory::topology(state, call, false),
        Endpoint::Topology => inventory::topology(state, call, true),
        Endpoint::DeviceResources => {
            SimulatedResponse::resources(state.world.devices.iter().map(Device::resource))
        }
        Endpoint::DeviceResource => inventory::resource(state, call),
        Endpoint::ChangeControls => change_controls::all(state),
        Endpoint::ChangeControl => change_controls::one(state, call),
        Endpoint::Unknown => unknown(state.version, call),
    }
}

/// Answers a request to an unknown path.
pub(crate) fn unknown(version: Version, call: &Call) -> SimulatedResponse {
    if call.path.starts_with("/api/") {
        SimulatedResponse::resource_error(404, 5, "Not Found")
    } else if version.unknown_is_not_found() {
        SimulatedResponse::page(404, "404 Not Found")
    } else {
        SimulatedResponse::error("MNF404", "Method not found")
    }
}

/// Answers a request without a valid session.
pub(crate) fn expired(version: Version, call: &Call) -> SimulatedResponse {
    if !version.expired_is_unauthorized() {
        SimulatedResponse::error("112498", "Failure - User is unauthorized")
    } else if call.path.starts_with("/api/") {
        SimulatedResponse::resource_error(401, 16, "authentication required")
    } else {
        SimulatedResponse::page(401, "401 Unauthorized")
    }
}
