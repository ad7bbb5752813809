use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lockstep_http::{Operator, ProblemResponse};
use lockstep_protocol::DeadLetterState;
use lockstep_protocol::bounds::MAX_LABEL;
use lockstep_protocol::rest::{
    DeadLetterCounts, DeadLetterDetail, DeadLetterGroup, DeadLetterPage, DeadLetterView,
};

use super::parameters::{self, Parameters};
use super::problem;
use crate::console::Shared;
use lockstep_store::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterSummary,
    DeadLetterTotals,
};

const LIMIT: u32 = 100;
const MOST: u32 = 1000;

/// More kinds than anybody reads; the total counts all of them.
const GROUPS: u32 = 200;

/// `GET /v1/dead`: one page of the dead letters that fit, the newest first.
pub(crate) async fn list(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<DeadLetterPage>, ProblemResponse> {
    let query = query(parameters)?;
    let limit = query.limit as usize;
    // One more than asked for tells whether there is a next page.
    let probe = DeadLetterQuery {
        limit: query.limit + 1,
        ..query
    };
    let mut heads = shared
        .context
        .dead_letters
        .dead_letters(&probe)
        .await
        .map_err(problem::of_store)?;
    let more = heads.len() > limit;
    heads.truncate(limit);
    let next = heads.last().filter(|_| more).map(|head| head.number);
    let dead_letters = heads.into_iter().map(view).collect();
    Ok(Json(DeadLetterPage { dead_letters, next }))
}

/// `GET /v1/dead/counts`: how many of which kind nobody settled yet.
pub(crate) async fn counts(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<DeadLetterCounts>, ProblemResponse> {
    let query = DeadLetterCountQuery {
        code: code(&mut parameters)?,
        lane: parameters.value("lane")?,
        kind: kind(&mut parameters)?,
        limit: GROUPS,
    };
    parameters.finish("code, lane, type")?;
    let DeadLetterTotals {
        newest,
        total,
        groups,
    } = shared
        .context
        .dead_letters
        .dead_letter_totals(&query)
        .await
        .map_err(problem::of_store)?;
    let told: u64 = groups.iter().map(|group| group.count).sum();
    Ok(Json(DeadLetterCounts {
        newest,
        total,
        truncated: told < total,
        groups: groups.into_iter().map(group).collect(),
    }))
}

/// `GET /v1/dead/{number}`: one dead letter, with its body.
pub(crate) async fn show(
    _operator: Operator,
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Json<DeadLetterDetail>, ProblemResponse> {
    let Path(text) = number.map_err(|error| parameters::invalid(error.body_text()))?;
    let unknown = || {
        let detail =
            format!("no dead letter has the number {text:?}; settled ones are kept for a while only");
        ProblemResponse::not_found("unknown-dead-letter", "there is no such dead letter", detail)
    };
    let number: u64 = text.parse().map_err(|_| unknown())?;
    let dead_letter = shared
        .context
        .dead_letters
        .dead_letter(number)
        .await
        .map_err(problem::of_store)?;
    dead_letter
        .map(|dead_letter| Json(detail(dead_letter)))
        .ok_or_else(unknown)
}

fn query(mut parameters: Parameters) -> Result<DeadLetterQuery, ProblemResponse> {
    let state = match parameters.text("state")?.as_deref() {
        None => Some(DeadLetterState::Dead),
        Some("all") => None,
        Some(word) => Some(word.parse().map_err(|error| {
            parameters::invalid(format!("parameter \"state\": {error}, or all for every state"))
        })?),
    };
    let query = DeadLetterQuery {
        state,
        code: code(&mut parameters)?,
        lane: parameters.value("lane")?,
        kind: kind(&mut parameters)?,
        before: parameters.value("before")?,
        limit: parameters.value("limit")?.unwrap_or(LIMIT),
    };
    parameters.finish("state, code, lane, type, before, limit")?;
    if !(1..=MOST).contains(&query.limit) {
        let detail = format!(
            "parameter \"limit\" is {}, it must be from 1 to {MOST}",
            query.limit
        );
        return Err(parameters::invalid(detail));
    }
    Ok(query)
}

/// Any code that may be, since a newer worker may know more of them.
fn code(parameters: &mut Parameters) -> Result<Option<String>, ProblemResponse> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match parameters.text("code")? {
        Some(text) if !text.chars().all(fits) => Err(parameters::invalid(format!(
            "parameter \"code\": {text:?} is no code; they are like unknown-device"
        ))),
        code => Ok(code),
    }
}

/// Any type that may be: senders claim what they like.
fn kind(parameters: &mut Parameters) -> Result<Option<String>, ProblemResponse> {
    match parameters.text("type")? {
        Some(text) if text.chars().count() > MAX_LABEL || text.contains(char::is_control) => {
            Err(parameters::invalid(format!(
                "parameter \"type\": must be at most {MAX_LABEL} characters without control characters"
            )))
        }
        kind => Ok(kind),
    }
}

fn group(group: DeadLetterGroupCount) -> DeadLetterGroup {
    DeadLetterGroup {
        lane: group.lane,
        kind: group.kind,
        code: group.code,
        count: group.count,
    }
}

fn view(head: DeadLetterSummary) -> DeadLetterView {
    DeadLetterView {
        number: head.number,
        state: head.state,
        source: head.identity.source.into(),
        id: head.identity.id.into(),
        redrive_count: head.redrive_count,
        lane: head.lane,
        kind: head.kind,
        subject: head.subject,
        by: head.actor,
        code: head.code,
        reason: head.reason,
        place: head.place,
        attempts: head.attempts,
        first_at: head.first_at,
        died_at: head.died_at,
        settled_at: head.settled_at,
        settled_by: head.settled_by,
        bytes: head.bytes,
    }
}

fn detail(row: DeadLetter) -> DeadLetterDetail {
    let (body, body_base64) = match String::from_utf8(row.body.into()) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(BASE64_STANDARD.encode(error.as_bytes()))),
    };
    DeadLetterDetail {
        dead_letter: view(row.head),
        properties: row.properties,
        body,
        body_base64,
    }
}
