//! Publishes commands as `POST /v1/events` does, and waits for what becomes of them.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::{Context, ID};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use lockstep_http::{Operator, ProblemResponse, Submission, Takes};
use lockstep_protocol::envelope::CONTENT_TYPE as CLOUDEVENT;
use lockstep_protocol::{Envelope, Identity, Message, MessageId, MessageKey, Source, WorkResult};
use tokio::time::Instant;

use super::error::CallError;
use super::places::Places;
use super::request::{Deadline, Trace};
use crate::access::Client;
use crate::context::Shared;
use crate::outcome::{Awaited, await_outcome};

/// The source of messages from GraphQL.
const SOURCE: &str = "urn:lockstep:graphql";
/// How long a call waits for its outcome if it does not say.
const DEFAULT_WAIT: Duration = Duration::from_secs(20);

/// What a call says about its message.
#[derive(Clone, Debug, Default)]
pub(super) struct Delivery {
    /// The id of the message; a new one if absent.
    pub(super) message_id: Option<ID>,
    /// How many seconds to wait for the outcome.
    pub(super) wait_seconds: Option<u32>,
}

/// The result of a command, with the identity of its message.
#[derive(Clone, Debug)]
pub(super) struct Answered {
    pub(super) identity: Identity,
    pub(super) result: WorkResult,
}

/// Publishes a command and waits for its result.
///
/// # Errors
/// The token does not allow it, it is malformed or was rejected, or its outcome is not known: then the error has the identity of the
/// message.
pub(super) async fn ask(
    context: &Context<'_>,
    command: impl Into<Message>,
    delivery: Delivery,
    places: &Places,
) -> Result<Answered, CallError> {
    let shared = context.data_unchecked::<Arc<Shared>>();
    let operator = context.data_unchecked::<Operator>();
    let wait = wait(&delivery, shared.limits.longest_wait)?;
    let mut envelope = Envelope::new(source(), shared.context.clock.now(), command);
    if let Some(id) = delivery.message_id {
        envelope.identity.id = MessageId::try_from(id.0)
            .map_err(|error| CallError::new("invalid-argument", error.to_string()).at("messageId"))?;
    }
    let Trace(mut headers) = context.data_unchecked::<Trace>().clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CLOUDEVENT));
    let body = envelope.encode();
    let now = shared.context.clock.now();
    let submission = Submission::read(operator, Takes::EventsAndCommands, &headers, &body, now)
        .map_err(|problem| places.named(CallError::from(&problem)))?;
    let identity = envelope.identity.clone();
    let about = |problem: &ProblemResponse| CallError::from(problem).of_message(identity.clone());
    let client = context.data_unchecked::<Client>();
    let published = shared.submit(operator, client, submission).await;
    published.map_err(|problem| about(&problem))?;

    let awaited = Awaited {
        message: MessageKey {
            identity: identity.clone(),
            actor: Some(operator.principal().into()),
        },
        digest: Some(envelope.digest()),
    };
    let Deadline(latest) = *context.data_unchecked::<Deadline>();
    let deadline = latest.min(Instant::now() + wait);
    let row = await_outcome(shared, &awaited, deadline).await;
    let row = row.map_err(|problem| about(&problem))?;
    let row = row.ok_or_else(|| pending(&identity))?;
    match row.result.into_result() {
        WorkResult::MessageRejected(rejected) => {
            let error = CallError::new(rejected.code.as_str(), rejected.reason);
            let error = match rejected.place {
                Some(place) => error.at(place),
                None => error,
            };
            Err(places.named(error).of_message(identity))
        }
        result => Ok(Answered { identity, result }),
    }
}

/// How long a call waits.
fn wait(delivery: &Delivery, longest: Duration) -> Result<Duration, CallError> {
    let wait = delivery
        .wait_seconds
        .map_or(DEFAULT_WAIT.min(longest), |seconds| {
            Duration::from_secs(seconds.into())
        });
    if wait > longest {
        let reason = format!("must be at most {} seconds", longest.as_secs());
        return Err(CallError::new("invalid-argument", reason).at("waitSeconds"));
    }
    Ok(wait)
}

fn pending(identity: &Identity) -> CallError {
    let reason = format!(
        "the message was accepted as {identity} and is not processed yet; do not send it as a new message: ask for \
         its outcome by source and id, or send the call again with this messageId"
    );
    CallError::new("pending", reason).of_message(identity.clone())
}

/// A result that does not belong to the command: that of a newer version.
pub(super) fn unexpected(answered: Answered) -> CallError {
    let kind = answered.result.kind();
    let reason =
        format!("the message was processed with the unexpected result {kind}; look at it by source and id");
    CallError::new("unexpected-result", reason).of_message(answered.identity)
}

fn source() -> Source {
    Source::try_from(SOURCE.to_owned()).expect("a fixed URN is a source")
}
