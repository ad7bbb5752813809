use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::AuditOutcome;
use lockstep_protocol::rest::{AuditPage, AuditView};
use lockstep_store::{AuditDecision, AuditEntry, AuditQuery};

use super::parameters::{self, Parameters};
use super::problem;
use crate::context::Shared;

/// `GET /v1/audit`: one page of what people did, the newest first.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<AuditPage>, ProblemResponse> {
    operator.may_read(ReadScope::Audit)?;
    let limit = parameters.limit()?;
    let query = AuditQuery {
        before: parameters.value("before")?,
        since: parameters.value("since")?,
        until: parameters.value("until")?,
        principal: parameters.text("principal")?,
        kind: parameters.value("kind")?,
        subject: parameters.text("subject")?,
        message: parameters.text("message")?,
        outcome: parameters.value("outcome")?,
        // One more than requested shows whether there is a next page.
        limit: limit + 1,
    };
    parameters.finish("before, since, until, principal, kind, subject, message, outcome, limit")?;
    let rows = shared.context.audit.audit_entries(&query).await;
    let mut rows = rows.map_err(problem::store_error)?;
    let next = parameters::cut(&mut rows, limit, |row| row.number);
    Ok(Json(AuditPage {
        entries: rows.into_iter().map(view).collect(),
        next,
    }))
}

fn view(row: AuditEntry) -> AuditView {
    let AuditEntry {
        number,
        at,
        entry,
        decision,
    } = row;
    let asked = entry.message.as_ref().map(|_| AuditOutcome::Asked);
    let outcome = decision.as_ref().map(|decision| decision.state.into()).or(asked);
    let (code, broker_user, trace_id) = decision.map_or((None, None, None), |decision| {
        let AuditDecision {
            code,
            broker_user,
            trace_id,
            ..
        } = decision;
        (
            code.map(Into::into),
            broker_user.map(Into::into),
            trace_id.map(Into::into),
        )
    });
    let (source, id) = entry
        .message
        .map(|message| (message.source.into(), message.id.into()))
        .unzip();
    AuditView {
        number,
        at,
        kind: entry.kind,
        principal: entry.actor.principal,
        token: entry.actor.token,
        address: entry.actor.address,
        agent: entry.actor.agent,
        message_source: source,
        message_id: id,
        message_type: entry.message_type,
        subject: entry.subject,
        reason: entry.reason,
        detail: entry.detail,
        outcome,
        code,
        broker_user,
        trace_id,
    }
}
