use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::EntityType;
use lockstep_protocol::rest::{FactList, FactView};

use super::history::{Asked, asked};
use super::parameters::Parameters;
use super::problem;
use crate::context::Shared;
use lockstep_store::FactRow;

/// `GET /v1/devices/{hostname}/facts`: what providers found out about a device; with `key`, the values that one fact had.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<FactList>, ProblemResponse> {
    let Asked { device, key, limit } = asked(&operator, &shared, hostname, parameters).await?;
    let cycle = &shared.context.cycle;
    let rows = cycle
        .facts(EntityType::Device, device, key.as_deref(), limit)
        .await;
    let rows = rows.map_err(problem::store_error)?;
    let facts = rows.into_iter().map(view).collect();
    Ok(Json(FactList { facts }))
}

fn view(row: FactRow) -> FactView {
    FactView {
        key: row.key,
        value: row.value,
        at: row.at,
        element: row.element,
    }
}
