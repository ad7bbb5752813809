use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::RepositoryName;
use lockstep_protocol::rest::{RepositoryList, RepositoryView};

use super::problem;
use crate::context::Shared;
use lockstep_store::{RepositoryFailure, RepositoryRow};

/// `GET /v1/repositories`: every repository that was synchronized at least once or cannot be fetched.
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
    let failures = shared.context.repositories.failures().await;
    let repositories = views(rows, failures.map_err(problem::store_error)?);
    Ok(Json(RepositoryList { repositories }))
}

/// The rows with the failures, those of repositories without a row, too.
fn views(rows: Vec<RepositoryRow>, failures: Vec<RepositoryFailure>) -> Vec<RepositoryView> {
    let views = rows.into_iter().map(view);
    let mut views: BTreeMap<RepositoryName, RepositoryView> =
        views.map(|view| (view.name.clone(), view)).collect();
    for failure in failures {
        let view = views
            .entry(failure.name.clone())
            .or_insert_with(|| never_refreshed(failure.name));
        view.failure = Some(failure.reason);
        view.failing_since = Some(failure.since);
        view.failed_at = Some(failure.at);
    }
    views.into_values().collect()
}

fn view(row: RepositoryRow) -> RepositoryView {
    let (accepted, accepted_at) = row.accepted.unzip();
    RepositoryView {
        branch: Some(row.branch),
        accepted,
        accepted_at,
        warnings: row.warnings,
        seen: Some(row.seen),
        seen_at: Some(row.seen_at),
        asked_at: row.asked_at,
        problem: row.problem,
        problem_since: row.problem_since,
        ..never_refreshed(row.name)
    }
}

fn never_refreshed(name: RepositoryName) -> RepositoryView {
    RepositoryView {
        name,
        branch: None,
        accepted: None,
        accepted_at: None,
        warnings: Vec::new(),
        seen: None,
        seen_at: None,
        asked_at: None,
        problem: None,
        problem_since: None,
        failure: None,
        failing_since: None,
        failed_at: None,
    }
}
