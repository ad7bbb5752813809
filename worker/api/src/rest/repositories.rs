use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{RepositoryList, RepositoryView};

use super::problem;
use crate::context::Shared;
use lockstep_store::RepositoryRow;

/// `GET /v1/repositories`: every repository that was synchronized at least once.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<RepositoryList>, ProblemResponse> {
    operator.may_read(ReadScope::Repositories)?;
    let rows = shared
        .context
        .repositories
        .repositories()
        .await
        .map_err(problem::store_error)?;
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
