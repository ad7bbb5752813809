use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{HttpResponse, Operator};
use lockstep_protocol::rest::{RepositoryList, RepositoryView};

use super::Shared;
use crate::store::RepositoryRow;

/// `GET /v1/repositories`: all that were ever looked at.
pub(super) async fn list(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<RepositoryList>, HttpResponse> {
    let rows = shared.context.repositories.repositories().await?;
    let repositories = rows.into_iter().map(view).collect();
    Ok(Json(RepositoryList { repositories }))
}

fn view(row: RepositoryRow) -> RepositoryView {
    let (accepted, accepted_at) = row.accepted.unzip();
    RepositoryView {
        name: row.name,
        branch: row.branch,
        accepted,
        accepted_at,
        seen: row.seen,
        seen_at: row.seen_at,
        problem: row.problem,
    }
}
