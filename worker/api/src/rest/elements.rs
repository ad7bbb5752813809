use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::ElementOutcome;
use lockstep_protocol::rest::{ElementDetail, ElementPage, ElementView};

use super::parameters::{self, Parameters};
use super::{executions, problem, stages};
use crate::context::Shared;
use lockstep_store::{ElementQuery, ElementRow, ExecutionReference, NewExecution};

/// `GET /v1/executions/{execution}/elements`: one page of the elements of an execution, ordered by number.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    execution: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<ElementPage>, ProblemResponse> {
    operator.may_read(ReadScope::Executions)?;
    let text = parameters::segment(execution)?;
    let (outcome, open) = outcome(&mut parameters)?;
    let after = parameters.value("after")?;
    let limit = parameters.limit()?;
    parameters.finish("outcome, after, limit")?;
    let execution = executions::find(&shared, &text).await?;
    let query = ElementQuery {
        execution: execution.number,
        outcome,
        open,
        after,
        // One more than requested shows whether there is a next page.
        limit: limit + 1,
    };
    let rows = shared.context.executions.elements(&query).await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |element| element.number);
    let elements = rows.into_iter().map(|row| view(row, Some(&execution.request)));
    let elements = elements.collect();
    Ok(Json(ElementPage { elements, next }))
}

/// `GET /v1/elements/{number}`: one element, with what its provider returned.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Json<ElementDetail>, ProblemResponse> {
    operator.may_read(ReadScope::DeviceOutput)?;
    let text = parameters::segment(number)?;
    let unknown = || {
        let detail = format!(
            "no element has the number {text:?}; those of ended executions are deleted after a while"
        );
        ProblemResponse::not_found("unknown-element", "the element does not exist", detail)
    };
    let number = text.parse().map_err(|_| unknown())?;
    let store = &shared.context.executions;
    let found = store.element(number).await;
    let detail = found.map_err(problem::store_error)?.ok_or_else(unknown)?;
    let execution = store
        .execution(&ExecutionReference::Number(detail.row.execution))
        .await;
    let execution = execution.map_err(problem::store_error)?;
    Ok(Json(ElementDetail {
        element: view(detail.row, execution.as_ref().map(|row| &row.request)),
        data: detail.data,
    }))
}

/// Takes `outcome`: what became of the elements, or whether they have not ended.
fn outcome(parameters: &mut Parameters) -> Result<(Option<ElementOutcome>, bool), ProblemResponse> {
    let outcome = match parameters.text("outcome")?.as_deref() {
        None => None,
        Some("open") => return Ok((None, true)),
        Some("done") => Some(ElementOutcome::Done),
        Some("failed") => Some(ElementOutcome::Failed),
        Some("skipped") => Some(ElementOutcome::Skipped),
        Some(other) => {
            return Err(parameters::invalid(format!(
                "parameter \"outcome\": {other:?} is not one of done, failed, skipped, open"
            )));
        }
    };
    Ok((outcome, false))
}

pub(crate) fn view(row: ElementRow, execution: Option<&NewExecution>) -> ElementView {
    ElementView {
        number: row.number,
        execution: row.execution,
        entity_type: row.entity_type,
        entity: row.entity,
        name: row.name,
        hostname: row.hostname,
        state: row.state,
        outcome: row.state.outcome(),
        stage: execution.and_then(|execution| stages::at(execution, row.stage)),
        waits_for: row.waits_for.map(|scope| scope.to_string()),
        resume_at: row.parked.map(|parked| parked.resume_at),
        expires_at: row.parked.map(|parked| parked.expires_at),
        reason: row.reason,
        message: row.message,
        changed: row.changed,
        attempts: row.attempts,
        started_at: row.started_at,
        ended_at: row.ended_at,
    }
}
