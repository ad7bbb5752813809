use std::collections::{BTreeSet, HashMap};

use lockstep_http::ProblemResponse;
use lockstep_protocol::rest::ApprovalView;
use lockstep_store::{ExecutionRow, PlanApproval};

use super::problem;
use crate::context::Shared;

/// The approvals of those of these executions that may be plans, by the number of the plan; the oldest of each first.
pub(super) async fn of(
    shared: &Shared,
    executions: impl IntoIterator<Item = &ExecutionRow>,
) -> Result<HashMap<u64, Vec<ApprovalView>>, ProblemResponse> {
    let plans = executions.into_iter().filter(|execution| is_plan(execution));
    let plans: BTreeSet<u64> = plans.map(|execution| execution.number).collect();
    let mut found: HashMap<u64, Vec<ApprovalView>> = HashMap::new();
    if plans.is_empty() {
        return Ok(found);
    }
    let rows = shared.context.syncs.approvals(&plans).await;
    for row in rows.map_err(problem::store_error)? {
        found.entry(row.plan).or_default().push(view(row));
    }
    Ok(found)
}

/// Whether an execution may have approvals: others are not looked up.
pub(crate) fn is_plan(execution: &ExecutionRow) -> bool {
    let request = &execution.request;
    request.provider == "sync" && request.requested.dry_run
}

fn view(row: PlanApproval) -> ApprovalView {
    ApprovalView {
        by: row.by,
        at: row.at,
        expires_at: row.expires_at,
        note: row.note,
    }
}
