use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::EntityType;
use lockstep_protocol::rest::{CheckList, CheckView};

use super::history::{Asked, asked};
use super::parameters::Parameters;
use super::problem;
use crate::context::Shared;
use lockstep_store::CheckRow;

/// `GET /v1/devices/{hostname}/checks`: the newest checks of a device; with `key`, the results that one check had.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<CheckList>, ProblemResponse> {
    let Asked { device, key, limit } = asked(&operator, &shared, hostname, parameters).await?;
    let cycle = &shared.context.cycle;
    let rows = cycle
        .checks(EntityType::Device, device, key.as_deref(), limit)
        .await;
    let rows = rows.map_err(problem::store_error)?;
    let checks = rows.into_iter().map(view).collect();
    Ok(Json(CheckList { checks }))
}

fn view(row: CheckRow) -> CheckView {
    CheckView {
        key: row.key,
        result: row.result,
        reason: row.reason,
        metrics: row.metrics,
        at: row.at,
        element: row.element,
    }
}
