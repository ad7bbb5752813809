use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use lockstep_http::{Operator, ProblemResponse, ReadScope};
use lockstep_protocol::DeadLetterState;
use lockstep_protocol::bounds::MAX_LABEL;
use lockstep_protocol::rest::{
    DeadLetterCounts, DeadLetterDetail, DeadLetterGroup, DeadLetterPage, DeadLetterView,
};

use super::parameters::{self, Parameters};
use super::problem;
use crate::context::Shared;
use lockstep_store::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterSummary,
    DeadLetterTotals,
};

/// The most groups in an answer. The total counts the dead letters of all groups.
const GROUPS: u32 = 200;

/// `GET /v1/dead`: one page of the matching dead letters, newest first.
pub(crate) async fn list(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<DeadLetterPage>, ProblemResponse> {
    operator.may_read(ReadScope::DeadLetters)?;
    let counts = parameters.total()?;
    let query = query(parameters)?;
    let limit = query.limit as usize;
    // One more than requested shows whether there is a next page.
    let one_more = DeadLetterQuery {
        limit: query.limit + 1,
        ..query
    };
    let store = &shared.context.dead_letters;
    let total = async {
        if counts {
            store.count_dead_letters(&one_more).await.map(Some)
        } else {
            Ok(None)
        }
    };
    let (mut summaries, total) =
        tokio::try_join!(store.dead_letters(&one_more), total).map_err(problem::store_error)?;
    let more = summaries.len() > limit;
    summaries.truncate(limit);
    let next = summaries.last().filter(|_| more).map(|summary| summary.number);
    let dead_letters = summaries.into_iter().map(view).collect();
    Ok(Json(DeadLetterPage {
        dead_letters,
        next,
        total,
    }))
}

/// `GET /v1/dead/counts`: the number of unsettled dead letters for each lane, type and code.
pub(crate) async fn counts(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    mut parameters: Parameters,
) -> Result<Json<DeadLetterCounts>, ProblemResponse> {
    operator.may_read(ReadScope::DeadLetters)?;
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
        .map_err(problem::store_error)?;
    let listed: u64 = groups.iter().map(|group| group.count).sum();
    Ok(Json(DeadLetterCounts {
        newest,
        total,
        truncated: listed < total,
        groups: groups.into_iter().map(group).collect(),
    }))
}

/// `GET /v1/dead/{number}`: one dead letter, with its body.
pub(crate) async fn show(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    number: Result<Path<String>, PathRejection>,
) -> Result<Json<DeadLetterDetail>, ProblemResponse> {
    operator.may_read(ReadScope::DeadLetterBodies)?;
    let text = parameters::segment(number)?;
    let unknown = || {
        let detail =
            format!("no dead letter has the number {text:?}; settled ones are deleted after a while");
        ProblemResponse::not_found("unknown-dead-letter", "the dead letter does not exist", detail)
    };
    let number: u64 = text.parse().map_err(|_| unknown())?;
    let dead_letter = shared
        .context
        .dead_letters
        .dead_letter(number)
        .await
        .map_err(problem::store_error)?;
    dead_letter
        .map(|dead_letter| Json(detail(dead_letter)))
        .ok_or_else(unknown)
}

fn query(mut parameters: Parameters) -> Result<DeadLetterQuery, ProblemResponse> {
    let state = match parameters.text("state")?.as_deref() {
        None => Some(DeadLetterState::Dead),
        Some("all") => None,
        Some(word) => Some(
            word.parse()
                .map_err(|error| parameters::invalid(format!("parameter \"state\": {error}, all")))?,
        ),
    };
    let query = DeadLetterQuery {
        state,
        code: code(&mut parameters)?,
        lane: parameters.value("lane")?,
        kind: kind(&mut parameters)?,
        before: parameters.value("before")?,
        limit: parameters.limit()?,
    };
    parameters.finish("state, code, lane, type, before, limit, total")?;
    Ok(query)
}

/// A text of the form of a code: a newer worker may write codes that this program does not know.
fn code(parameters: &mut Parameters) -> Result<Option<String>, ProblemResponse> {
    let is_code = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match parameters.text("code")? {
        Some(text) if !text.chars().all(is_code) => Err(parameters::invalid(format!(
            "parameter \"code\": {text:?} is not a code; a code has lower-case letters, digits and hyphens, such as unknown-device"
        ))),
        code => Ok(code),
    }
}

/// Any type, known or not: it is what the sender wrote.
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

pub(super) fn view(summary: DeadLetterSummary) -> DeadLetterView {
    DeadLetterView {
        number: summary.number,
        state: summary.state,
        source: summary.identity.source.into(),
        id: summary.identity.id.into(),
        redrive_count: summary.redrive_count,
        lane: summary.lane,
        kind: summary.kind,
        subject: summary.subject,
        by: summary.actor,
        code: summary.code,
        reason: summary.reason,
        place: summary.place,
        attempts: summary.attempts,
        first_at: summary.first_at,
        dead_lettered_at: summary.dead_lettered_at,
        settled_at: summary.settled_at,
        settled_by: summary.settled_by,
        bytes: summary.bytes,
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
