use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use lockstep_http::{Operator, ProblemResponse, ReadScope, Token};
use lockstep_protocol::authority::WEBHOOK_ACTOR;
use lockstep_protocol::rest::{MessageDetail, MessageMatches, MessageView};
use lockstep_protocol::{Identity, Message, MessageId, MessageKey, Source};
use tokio::time::Instant;

use super::parameters::{self, Parameters};
use super::{dead_letters, problem};
use crate::context::Shared;
use crate::outcome::{Awaited, await_outcome};
use lockstep_store::{InboxRow, MessageRow};

/// `GET /v1/messages?source=&id=&by=&anonymous=&digest=&wait=`: the outcome of a message of the caller, of the sender `by`, or of
/// one that the broker did not validate; with `digest`, of the message with this content. With `wait`, answers as soon as
/// there is one, or after that many seconds.
pub(crate) async fn outcome(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    parameters: Parameters,
) -> Result<Json<MessageView>, ProblemResponse> {
    let query = OutcomeQuery::read(parameters, &operator, shared.limits.longest_wait)?;
    let row = await_outcome(&shared, &query.awaited, Instant::now() + query.wait).await?;
    row.map(|row| Json(view(row)))
        .ok_or_else(|| no_outcome(&query.awaited.message))
}

struct OutcomeQuery {
    awaited: Awaited,
    wait: Duration,
}

impl OutcomeQuery {
    fn read(mut parameters: Parameters, caller: &Token, longest: Duration) -> Result<Self, ProblemResponse> {
        let missing = || parameters::invalid("parameters \"source\" and \"id\" are both required");
        let source = parameters.text("source")?.ok_or_else(missing)?;
        let id = parameters.text("id")?.ok_or_else(missing)?;
        let source = Source::try_from(source)
            .map_err(|error| parameters::invalid(format!("parameter \"source\" {error}")))?;
        let anonymous = parameters.value("anonymous")?.unwrap_or(false);
        let by = parameters.text("by")?;
        let actor = match (by, anonymous) {
            (Some(_), true) => {
                let detail = "give one of the parameters \"by\" and \"anonymous\"";
                return Err(parameters::invalid(detail));
            }
            (None, true) => None,
            (Some(by), false) => Some(by),
            (None, false) => Some(sender(&source, caller)),
        };
        if actor.as_deref() != Some(caller.principal()) {
            caller.may_read(ReadScope::Messages)?;
        }
        let digest = parameters.value("digest")?;
        let seconds: u64 = parameters.value("wait")?.unwrap_or(0);
        parameters.finish("source, id, by, anonymous, digest, wait")?;
        let id = MessageId::try_from(id)
            .map_err(|error| parameters::invalid(format!("parameter \"id\" {error}")))?;
        let wait = Duration::from_secs(seconds);
        if wait > longest {
            let detail = format!(
                "parameter \"wait\" is {seconds}; it must be at most {} seconds",
                longest.as_secs()
            );
            return Err(parameters::invalid(detail));
        }
        let message = MessageKey {
            identity: Identity { source, id },
            actor: actor.map(Into::into),
        };
        Ok(Self {
            awaited: Awaited { message, digest },
            wait,
        })
    }
}

/// Whose message is meant where the request does not say: a forge's for the source of a webhook, else the caller's.
fn sender(source: &Source, caller: &Token) -> String {
    let forge = source
        .as_str()
        .strip_prefix(Source::WEBHOOKS)
        .and_then(|rest| rest.split('/').next());
    forge.map_or_else(
        || caller.principal().to_owned(),
        |forge| format!("{WEBHOOK_ACTOR}{forge}"),
    )
}

fn no_outcome(message: &MessageKey) -> ProblemResponse {
    let sender = message.actor.as_deref().unwrap_or("a sender without a name");
    let detail = format!(
        "message {} of {sender} is not processed yet, or was never published; ask again, add wait=SECONDS to wait for its outcome, \
         or by=NAME for a message of another sender",
        message.identity
    );
    ProblemResponse::not_found("no-outcome", "the message has no outcome yet", detail)
}

fn view(row: InboxRow) -> MessageView {
    MessageView {
        source: row.identity.source.into(),
        id: row.identity.id.into(),
        kind: row.kind.into(),
        state: row.state,
        at: row.at,
        by: row.actor.map(Into::into),
        result_type: row.result.kind().as_str().to_owned(),
        result: Message::Result(row.result.into_result()).to_data(),
    }
}

/// The most messages with one id that are listed.
const MOST_MATCHES: u32 = 20;
/// The most dead letters of a message that are shown.
const MOST_DEAD_LETTERS: u32 = 20;

/// `GET /v1/messages/{id}?source=&by=`: the processed messages with this id: the caller's own, or those of all senders.
pub(crate) async fn find(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    id: Result<Path<String>, PathRejection>,
    mut parameters: Parameters,
) -> Result<Json<MessageMatches>, ProblemResponse> {
    let text = parameters::segment(id)?;
    let query = Query::read(&mut parameters)?;
    parameters.finish("source, by")?;
    let (rows, more) = matching(&operator, &shared, &text, &query).await?;
    if rows.is_empty() {
        let detail = format!(
            "no processed message has the id {text:?}, as far as this token may read messages: those of others with `messages`; one that was \
             published may not be processed yet"
        );
        return Err(ProblemResponse::not_found(
            "unknown-message",
            "the message does not exist",
            detail,
        ));
    }
    let mut messages = Vec::with_capacity(rows.len());
    for row in rows {
        messages.push(detail(&operator, &shared, row).await?);
    }
    Ok(Json(MessageMatches { messages, more }))
}

/// Which of the messages with an id are meant.
pub(super) struct Query {
    source: Option<Source>,
    by: Option<String>,
}

impl Query {
    /// Takes `source` and `by`.
    pub(super) fn read(parameters: &mut Parameters) -> Result<Self, ProblemResponse> {
        let source = parameters.text("source")?.map(Source::try_from).transpose();
        Ok(Self {
            source: source.map_err(|error| parameters::invalid(format!("parameter \"source\" {error}")))?,
            by: parameters.text("by")?,
        })
    }
}

/// The processed messages with this id that the caller may read, at most [`MOST_MATCHES`], and whether there are more.
pub(super) async fn matching(
    caller: &Token,
    shared: &Shared,
    id: &str,
    query: &Query,
) -> Result<(Vec<MessageRow>, bool), ProblemResponse> {
    let Ok(id) = MessageId::try_from(id.to_owned()) else {
        return Ok((Vec::new(), false));
    };
    let reads_others = caller.may_read(ReadScope::Messages).is_ok();
    let found = shared
        .context
        .messages
        .messages(&id, query.source.as_ref(), MOST_MATCHES + 1)
        .await;
    let mut rows = found.map_err(problem::store_error)?;
    let more = rows.len() > MOST_MATCHES as usize;
    rows.truncate(MOST_MATCHES as usize);
    rows.retain(|row| {
        let actor = row.actor.as_deref();
        (reads_others || actor == Some(caller.name())) && (query.by.is_none() || actor == query.by.as_deref())
    });
    Ok((rows, more))
}

/// One processed message.
pub(super) async fn of_key(shared: &Shared, key: &MessageKey) -> Result<Option<MessageRow>, ProblemResponse> {
    let MessageKey { identity, actor } = key;
    let found = shared
        .context
        .messages
        .messages(&identity.id, Some(&identity.source), MOST_MATCHES)
        .await;
    let rows = found.map_err(problem::store_error)?;
    Ok(rows.into_iter().find(|row| row.actor == *actor))
}

/// A message with its dead letters, if the caller may read them: those of own messages, or with `dead-letters`.
pub(super) async fn detail(
    caller: &Token,
    shared: &Shared,
    row: MessageRow,
) -> Result<MessageDetail, ProblemResponse> {
    let is_own = row.actor.as_deref() == Some(caller.name());
    let dead_letters = if is_own || caller.may_read(ReadScope::DeadLetters).is_ok() {
        let found = shared
            .context
            .messages
            .dead_letters_of(&row.key(), MOST_DEAD_LETTERS)
            .await;
        let found = found.map_err(problem::store_error)?;
        Some(found.into_iter().map(dead_letters::view).collect())
    } else {
        None
    };
    Ok(MessageDetail {
        subject: row.subject,
        trace_id: row.trace_id.map(Into::into),
        redrive_count: row.redrive_count,
        dead_letters,
        outcome: MessageView {
            source: row.identity.source.into(),
            id: row.identity.id.into(),
            kind: row.kind,
            state: row.state,
            at: row.at,
            by: row.actor.map(Into::into),
            result_type: row.result.kind().as_str().to_owned(),
            result: Message::Result(row.result.into_result()).to_data(),
        },
    })
}
