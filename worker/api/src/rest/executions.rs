use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::rest::{ApprovalView, ExecutionPage, ExecutionView, ParentView, StopView};

use super::parameters::{self, Parameters};
use super::{approvals, problem, stages};
use crate::context::Shared;
use lockstep_store::{ExecutionQuery, ExecutionReference, ExecutionRow, PhaseTask};

/// `GET /v1/executions`: one page of the matching executions, newest first.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<ExecutionPage>, ProblemResponse> {
    operator.may_read(ReadScope::Executions)?;
    let counts = parameters.total()?;
    let query = query(parameters)?;
    let limit = query.limit;
    // One more than requested shows whether there is a next page.
    let one_more = ExecutionQuery {
        limit: limit + 1,
        ..query
    };
    let store = &shared.context.executions;
    let total = async {
        if counts {
            store.count_executions(&one_more).await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (mut rows, total) =
        tokio::try_join!(store.executions(&one_more), total).map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |execution| execution.number);
    let mut approvals = approvals::of(&shared, rows.iter()).await?;
    let view_of = |row: ExecutionRow| {
        let approvals = approvals.remove(&row.number).unwrap_or_default();
        view(row, approvals)
    };
    let executions = rows.into_iter().map(view_of).collect();
    Ok(Json(ExecutionPage {
        executions,
        next,
        total,
    }))
}

/// `GET /v1/executions/{execution}`: the execution with this number or id.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
) -> Result<Json<ExecutionView>, ProblemResponse> {
    operator.may_read(ReadScope::Executions)?;
    let text = parameters::segment(execution)?;
    let row = find(&shared, &text).await?;
    let mut approvals = approvals::of(&shared, [&row]).await?;
    let approvals = approvals.remove(&row.number).unwrap_or_default();
    Ok(Json(view(row, approvals)))
}

/// `GET /v1/executions/stopped`: whether all executions are stopped.
pub(crate) async fn stopped(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
) -> Result<Json<StopView>, ProblemResponse> {
    operator.may_read(ReadScope::Executions)?;
    let stopped = shared.context.executions.stopped().await;
    let stopped = stopped.map_err(problem::store_error)?;
    let view = stopped.map_or_else(StopView::default, |stop| StopView {
        stopped: true,
        at: Some(stop.at),
        by: stop.by,
        note: stop.note,
    });
    Ok(Json(view))
}

/// The execution with this number or id.
pub(crate) async fn find(shared: &Shared, text: &str) -> Result<ExecutionRow, ProblemResponse> {
    let unknown = || {
        let detail =
            format!("no execution has the number or the id {text:?}; ended ones are deleted after a while");
        ProblemResponse::not_found("unknown-execution", "the execution does not exist", detail)
    };
    let number = text.parse().map(ExecutionReference::Number);
    let reference = number
        .or_else(|_| text.parse().map(ExecutionReference::Id))
        .map_err(|_| unknown())?;
    let found = shared.context.executions.execution(&reference).await;
    found.map_err(problem::store_error)?.ok_or_else(unknown)
}

fn query(mut parameters: Parameters) -> Result<ExecutionQuery, ProblemResponse> {
    let query = ExecutionQuery {
        state: parameters.value("state")?,
        task: parameters.text("task")?,
        hostname: parameters.value("hostname")?,
        parent: parameters.value("parent")?,
        before: parameters.value("before")?,
        limit: parameters.limit()?,
    };
    parameters.finish("state, task, hostname, parent, before, limit, total")?;
    Ok(query)
}

/// An execution as REST shows it, with the approvals of a plan.
pub(crate) fn view(row: ExecutionRow, approvals: Vec<ApprovalView>) -> ExecutionView {
    let ExecutionRow {
        request,
        counts,
        stage,
        ..
    } = row;
    let names = |tasks: &[PhaseTask]| tasks.iter().map(|phase| phase.task.clone()).collect();
    let [pre_tasks, post_tasks] = [&request.pre_tasks, &request.post_tasks].map(|tasks| names(tasks));
    let (stages, now) = (stages::all(&request), stages::at(&request, stage.index));
    let requested = request.requested;
    ExecutionView {
        number: row.number,
        id: row.id,
        task: request.task,
        task_number: request.task_number,
        provider: request.provider,
        state: row.state,
        reason: row.reason,
        dry_run: requested.dry_run,
        paused: row.paused,
        halt: row.halt.map(|halt| halt.as_str().to_owned()),
        in_canary: row.in_canary,
        parked: row.parked,
        pre_tasks,
        post_tasks,
        stages,
        stage: now,
        stage_elements: stage.elements,
        stage_ended: stage.ended,
        elements: counts.elements,
        done: counts.done,
        failed: counts.failed,
        skipped: counts.skipped,
        accepted_at: request.at,
        started_at: row.started_at,
        ended_at: row.ended_at,
        deadline_at: request.deadline_at,
        by: request.actor,
        execute_on_type: requested.execute_on_type,
        run_on: request.run_on,
        task_arguments: request.task_arguments,
        arguments: requested.arguments,
        limits: requested.limits,
        relaunch_of: request.relaunch_of,
        parent: request.parent.map(|parent| ParentView {
            execution: parent.execution,
            step: parent.step.saturating_add(1),
        }),
        approvals,
    }
}
