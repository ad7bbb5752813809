use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::rest::{DevicePage, DeviceView};
use lockstep_protocol::{GroupName, Hostname};

use super::parameters::{self, Parameters};
use super::problem;
use crate::console::Shared;
use lockstep_store::DeviceQuery;

const LIMIT: u32 = 100;
const MOST: u32 = 1000;

/// `GET /v1/devices`: one page of the devices that fit, ordered by hostname.
pub(crate) async fn list(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<DevicePage>, ProblemResponse> {
    let query = query(parameters)?;
    let limit = query.limit as usize;
    // One more than asked for tells whether there is a next page.
    let probe = DeviceQuery {
        limit: query.limit + 1,
        ..query
    };
    let mut devices = shared
        .context
        .fleet
        .devices(&probe)
        .await
        .map_err(problem::of_store)?;
    let more = devices.len() > limit;
    devices.truncate(limit);
    let next = devices
        .last()
        .filter(|_| more)
        .map(|device| device.hostname.clone());
    Ok(Json(DevicePage { devices, next }))
}

/// `GET /v1/devices/{hostname}`: one device.
pub(crate) async fn show(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceView>, ProblemResponse> {
    let Path(text) = hostname.map_err(|error| parameters::invalid(error.body_text()))?;
    let unknown = || {
        let detail = format!("no device is named {text:?}");
        ProblemResponse::not_found("unknown-device", "there is no such device", detail)
    };
    let hostname: Hostname = text.parse().map_err(|_| unknown())?;
    let device = shared
        .context
        .fleet
        .device(&hostname)
        .await
        .map_err(problem::of_store)?;
    device.map(Json).ok_or_else(unknown)
}

fn query(mut parameters: Parameters) -> Result<DeviceQuery, ProblemResponse> {
    let group = parameters.text("group")?.map(GroupName::try_from);
    let query = DeviceQuery {
        synchronized: parameters.value("synchronized")?,
        state: parameters.value("state")?,
        device_type: parameters.value("device_type")?,
        group: group
            .transpose()
            .map_err(|error| parameters::invalid(format!("parameter \"group\": {error}")))?,
        after: parameters.value("after")?,
        limit: parameters.value("limit")?.unwrap_or(LIMIT),
    };
    parameters.finish("synchronized, state, device_type, group, after, limit")?;
    if !(1..=MOST).contains(&query.limit) {
        let detail = format!(
            "parameter \"limit\" is {}, it must be from 1 to {MOST}",
            query.limit
        );
        return Err(parameters::invalid(detail));
    }
    Ok(query)
}
