use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::ConcernedDevice;
use lockstep_protocol::rest::{HistoryEventView, HistoryPage};

use super::cause;
use super::parameters::{self, Parameters};
use super::{devices, problem};
use crate::context::Shared;
use lockstep_store::{HistoryEntry, HistoryEvent, HistoryRow, HistoryWhat};

/// `GET /v1/devices/{hostname}/history`: one page of what happened to a device, newest first.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    hostname: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<HistoryPage>, ProblemResponse> {
    operator.may_read(ReadScope::Devices)?;
    let (before, limit) = (parameters.value("before")?, parameters.events()?);
    parameters.finish("before, limit")?;
    let device = devices::find(&shared, hostname).await?;
    let fleet = &shared.context.fleet;
    // One more than requested shows whether there is a next page.
    let entries = fleet.history(&device, before, limit + 1).await;
    let mut entries = entries.map_err(problem::store_error)?;
    let next = parameters::cut(&mut entries, limit, |entry| entry.position.to_string());
    let concerned = cause::concerned(&device);
    let events = entries.into_iter().map(|entry| view(entry, &concerned)).collect();
    Ok(Json(HistoryPage { events, next }))
}

fn view(entry: HistoryEntry, device: &ConcernedDevice<'_>) -> HistoryEventView {
    match entry.event {
        HistoryEvent::Changed { row, expired } => changed(row, expired),
        HistoryEvent::Unsynchronized { cause, open } => HistoryEventView {
            at: cause.at,
            what: "unsynchronized".to_owned(),
            event: cause.kind.clone(),
            source: cause.identity.source.as_str().to_owned(),
            id: cause.identity.id.as_str().to_owned(),
            by: cause.actor.clone(),
            note: cause.note.clone(),
            from: None,
            to: None,
            execution: None,
            generation: None,
            cause: Some(cause::detailed(&cause, device)),
            open: Some(open),
            closed: None,
            expired: None,
        },
    }
}

fn changed(row: HistoryRow, expired: u64) -> HistoryEventView {
    let closes = [HistoryWhat::Synchronized, HistoryWhat::CausesClosed]
        .iter()
        .any(|what| what.as_str() == row.what);
    HistoryEventView {
        at: row.at,
        event: row.kind,
        source: row.identity.source.as_str().to_owned(),
        id: row.identity.id.as_str().to_owned(),
        by: row.actor,
        note: row.note,
        from: row.change.from,
        to: row.change.to,
        execution: row.change.execution,
        generation: Some(row.generation),
        cause: None,
        open: None,
        closed: closes.then_some(row.causes.len() as u64),
        expired: Some(expired).filter(|expired| *expired > 0),
        what: row.what,
    }
}
