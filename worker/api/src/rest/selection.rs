use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{SelectionPage, SkippedDevice};
use lockstep_protocol::{DeviceType, SyncTarget};

use super::parameters::{self, Parameters};
use super::{devices, groups, problem};
use crate::context::Shared;
use lockstep_store::{Device, DeviceQuery};

/// `GET /v1/sync/selection`: one page of the devices that a sync run is asked for, those that it would contact apart from those that it
/// would skip. The store finds the devices of the target, the rules of sync runs decide about each.
pub(crate) async fn select(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<SelectionPage>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let wanted = Wanted {
        all: parameters.value("all")?.unwrap_or(false),
        hostname: parameters.text("hostname")?,
        device_type: parameters.value("device_type")?,
        group: parameters.text("group")?,
    };
    let resync = parameters.value("resync")?.unwrap_or(false);
    let after = parameters.value("after")?;
    let limit = parameters.limit()?;
    parameters.finish("all, hostname, device_type, group, resync, after, limit")?;
    let target = wanted.target(&shared).await?;
    let mut devices = if let SyncTarget::Hostname(hostname) = &target {
        let device = shared.context.fleet.device(hostname).await;
        Vec::from_iter(device.map_err(problem::store_error)?)
    } else {
        // One more than requested shows whether there is a next page.
        let query = DeviceQuery {
            after,
            limit: limit + 1,
            ..of(&target)
        };
        let devices = shared.context.fleet.devices(&query).await;
        devices.map_err(problem::store_error)?
    };
    let next = parameters::cut(&mut devices, limit, |device| device.hostname.clone());
    Ok(Json(page(&shared, &target, resync, devices, next)))
}

fn page(
    shared: &Shared,
    target: &SyncTarget,
    resync: bool,
    devices: Vec<Device>,
    next: Option<lockstep_protocol::Hostname>,
) -> SelectionPage {
    let rules = &shared.context.sync_rules;
    let mut page = SelectionPage {
        selected: Vec::new(),
        skipped: Vec::new(),
        next,
    };
    for device in devices {
        let (hostname, state) = (device.hostname, device.lifecycle.state);
        match rules.selects(target, resync, state, device.sync.synchronized()) {
            Ok(()) => page.selected.push(hostname),
            Err(reason) => page.skipped.push(SkippedDevice { hostname, reason }),
        }
    }
    page
}

/// The devices of a target that names none.
fn of(target: &SyncTarget) -> DeviceQuery {
    let (device_type, group) = match target {
        SyncTarget::All | SyncTarget::Hostname(_) => (None, None),
        SyncTarget::DeviceType(device_type) => (Some(device_type.clone()), None),
        SyncTarget::Group(group) => (None, Some(group.clone())),
    };
    DeviceQuery {
        device_type,
        group,
        ..DeviceQuery::default()
    }
}

/// The parameters that name a target, of which a request has one.
struct Wanted {
    all: bool,
    hostname: Option<String>,
    device_type: Option<DeviceType>,
    group: Option<String>,
}

impl Wanted {
    async fn target(self, shared: &Shared) -> Result<SyncTarget, ProblemResponse> {
        match self {
            Self {
                all: true,
                hostname: None,
                device_type: None,
                group: None,
            } => Ok(SyncTarget::All),
            Self {
                all: false,
                hostname: Some(hostname),
                device_type: None,
                group: None,
            } => {
                let device = devices::named(shared, &hostname).await?;
                Ok(SyncTarget::Hostname(device.hostname))
            }
            Self {
                all: false,
                hostname: None,
                device_type: Some(device_type),
                group: None,
            } => {
                let known = shared.context.sync_rules.knows(&device_type);
                known
                    .map_err(|known| {
                        parameters::invalid(format!(
                            "parameter \"device_type\": {device_type} is not a device type of this site; there are {known}"
                        ))
                    })
                    .map(|()| SyncTarget::DeviceType(device_type))
            }
            Self {
                all: false,
                hostname: None,
                device_type: None,
                group: Some(group),
            } => Ok(SyncTarget::Group(groups::find(shared, &group).await?.name)),
            _ => Err(parameters::invalid(
                "name exactly one target: all=true, hostname, device_type or group",
            )),
        }
    }
}
