use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{CauseView, DevicePage, DeviceView, MarkView};
use lockstep_protocol::{GroupName, Hostname};

use super::parameters::{self, Parameters};
use super::{cause, problem};
use crate::context::Shared;
use lockstep_store::{Device, DeviceQuery, StoreError};

/// `GET /v1/devices`: one page of the matching devices, ordered by hostname.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<DevicePage>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let counts = parameters.total()?;
    let query = query(parameters)?;
    let limit = query.limit as usize;
    // One more than requested shows whether there is a next page.
    let one_more = DeviceQuery {
        limit: query.limit + 1,
        ..query
    };
    let fleet = &shared.context.fleet;
    let total = async {
        if counts {
            fleet.count_devices(&one_more).await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (mut devices, total) =
        tokio::try_join!(fleet.devices(&one_more), total).map_err(problem::store_error)?;
    let more = devices.len() > limit;
    devices.truncate(limit);
    let next = devices
        .last()
        .filter(|_| more)
        .map(|device| device.hostname.clone());
    let devices = views(&shared, devices).await.map_err(problem::store_error)?;
    Ok(Json(DevicePage { devices, next, total }))
}

/// `GET /v1/devices/{hostname}`: one device.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<Json<DeviceView>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let device = find(&shared, hostname).await?;
    let found = detailed(&shared, device).await;
    Ok(Json(found.map_err(problem::store_error)?))
}

/// The device that a path names.
pub(super) async fn find(
    shared: &Shared,
    path: Result<Path<String>, PathRejection>,
) -> Result<Device, ProblemResponse> {
    named(shared, &parameters::segment(path)?).await
}

/// The device with this name.
pub(super) async fn named(shared: &Shared, name: &str) -> Result<Device, ProblemResponse> {
    let hostname: Hostname = name.parse().map_err(|_| unknown(name))?;
    let found = shared.context.fleet.device(&hostname).await;
    found.map_err(problem::store_error)?.ok_or_else(|| unknown(name))
}

/// The hostname in a path.
pub(crate) fn hostname(path: Result<Path<String>, PathRejection>) -> Result<Hostname, ProblemResponse> {
    let text = parameters::segment(path)?;
    text.parse().map_err(|_| unknown(&text))
}

/// 404 for a device that does not exist.
pub(super) fn unknown(name: &str) -> ProblemResponse {
    let detail = format!("no device is named {name:?}");
    ProblemResponse::not_found("unknown-device", "the device does not exist", detail)
}

/// One device with all that is known about its causes.
async fn detailed(shared: &Shared, device: Device) -> Result<DeviceView, StoreError> {
    let fleet = &shared.context.fleet;
    let ids = [device.id];
    let (mut groups, causes) =
        tokio::try_join!(fleet.groups_of(&ids), fleet.detailed_causes(&device.open_causes),)?;
    let concerned = cause::concerned(&device);
    let open = device.open_causes.iter().filter_map(|id| causes.get(id));
    let causes = open.map(|row| cause::detailed(row, &concerned)).collect();
    let groups = groups.remove(&device.id).unwrap_or_default();
    Ok(view(device, groups, causes))
}

/// The devices as a list shows them, with their groups and causes: two calls of the store, however many devices there are.
async fn views(shared: &Shared, devices: Vec<Device>) -> Result<Vec<DeviceView>, StoreError> {
    let fleet = &shared.context.fleet;
    let ids: Vec<_> = devices.iter().map(|device| device.id).collect();
    let mut open: Vec<_> = devices
        .iter()
        .flat_map(|device| device.open_causes.iter().copied())
        .collect();
    // One cause may be open on many devices.
    open.sort_unstable();
    open.dedup();
    let (mut groups, causes) = tokio::try_join!(fleet.groups_of(&ids), fleet.causes(&open))?;
    let views = devices.into_iter().map(|device| {
        let groups = groups.remove(&device.id).unwrap_or_default();
        let open = device.open_causes.iter().filter_map(|id| causes.get(id));
        let causes = open.map(cause::brief).collect();
        view(device, groups, causes)
    });
    Ok(views.collect())
}

fn view(device: Device, groups: Vec<GroupName>, causes: Vec<CauseView>) -> DeviceView {
    let Device {
        id,
        hostname,
        attributes,
        lifecycle,
        sync,
        marked,
        primary_group,
        checked_at,
        open_causes: _,
    } = device;
    DeviceView {
        id: id.0,
        hostname,
        device_type: attributes.device_type,
        platform: attributes.platform,
        state: lifecycle.state,
        note: lifecycle.note,
        until: lifecycle.until,
        synchronized: sync.synchronized(),
        unsynchronized_since: sync.since,
        desired_generation: sync.desired,
        synced_generation: sync.synced,
        management_ip: attributes.management_ip,
        mac: attributes.mac,
        serial: attributes.serial,
        vendor: attributes.vendor,
        model: attributes.model,
        os_version: attributes.os_version,
        controller: attributes.controller,
        groups,
        primary_group,
        checked_at,
        causes,
        marked: marked.map(|mark| MarkView {
            at: mark.at,
            by: mark.by,
            note: mark.note,
        }),
    }
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
        limit: parameters.limit()?,
    };
    parameters.finish("synchronized, state, device_type, group, after, limit, total")?;
    Ok(query)
}
