use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{HostnameList, SurroundingsView};
use lockstep_store::Hostnames;

use super::{devices, problem};
use crate::context::Shared;

/// `GET /v1/devices/{hostname}/surroundings`: what belongs to a device, and where its links lead.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
) -> Result<Json<SurroundingsView>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let hostname = devices::hostname(hostname)?;
    let found = shared.context.fleet.surroundings(&hostname).await;
    let found = found.map_err(problem::store_error)?;
    let found = found.ok_or_else(|| devices::unknown(hostname.as_str()))?;
    let list = |hostnames: Hostnames| HostnameList {
        count: hostnames.count,
        first: hostnames.first,
    };
    Ok(Json(SurroundingsView {
        hostname,
        interfaces: found.interfaces,
        clients: found.clients,
        links: found.links,
        neighbors: list(found.neighbors),
        controlled: list(found.controlled),
    }))
}
