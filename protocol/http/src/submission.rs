use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::envelope::{CONTENT_TYPE, MAX_BODY_BYTES};
use lockstep_protocol::rest::{Accepted, Problem};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Class, Code, Envelope, Kind, TraceParent};
use lockstep_telemetry::Span;

use crate::binding::{self, BindingError, Content, Received};
use crate::{ProblemResponse, Token, trace_of};

/// The classes of messages that a server accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// Only events.
    Events,
    /// Events and commands.
    EventsAndCommands,
}

/// The messages of a `POST /v1/events`, ready to publish. A batch is refused as a whole if one of its messages is invalid.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// The messages in the order of the request.
    pub messages: Vec<Outgoing>,
    /// The commands among them, as they were decoded.
    pub commands: Vec<Envelope>,
    /// The response to send after the broker confirmed all messages.
    pub receipt: Receipt,
}

/// The response to a confirmed submission: 202 with the identities of the messages.
#[derive(Clone, Debug, PartialEq)]
pub enum Receipt {
    /// A single message.
    One(Accepted),
    /// A batch.
    Batch(Vec<Accepted>),
}

impl IntoResponse for Receipt {
    fn into_response(self) -> Response {
        match self {
            Self::One(accepted) => (StatusCode::ACCEPTED, Json(accepted)).into_response(),
            Self::Batch(accepted) => (StatusCode::ACCEPTED, Json(accepted)).into_response(),
        }
    }
}

impl Submission {
    /// Reads a request that was sent with this token. The messages keep all attributes of the sender; `actor` and
    /// `traceparent` are set.
    ///
    /// # Errors
    /// The problem to respond with.
    pub fn read(
        token: &Token,
        takes: Takes,
        headers: &HeaderMap,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Self, ProblemResponse> {
        let content = binding::read(headers, body).map_err(|error| refused(error, token, takes))?;
        let trace = trace_of(headers);
        let outgoing = |received: Received| outgoing(received, token, takes, &trace, now);
        match content {
            Content::One(received) => {
                let receipt = Receipt::One(accepted(&received));
                let (message, command) = outgoing(*received)?;
                Ok(Self {
                    messages: vec![message],
                    commands: command.into_iter().collect(),
                    receipt,
                })
            }
            Content::Batch(batch) => {
                let receipt = Receipt::Batch(batch.iter().map(accepted).collect());
                let (mut messages, mut commands) = (Vec::with_capacity(batch.len()), Vec::new());
                for received in batch {
                    let (message, command) = outgoing(received)?;
                    messages.push(message);
                    commands.extend(command);
                }
                Ok(Self {
                    messages,
                    commands,
                    receipt,
                })
            }
        }
    }
}

/// Waits for `publishing` to be confirmed by the broker, at most for `timeout`.
///
/// # Errors
/// The problem to respond with; with `Retry-After` if sending again may succeed.
pub async fn confirmed<E>(
    timeout: Duration,
    publishing: impl Future<Output = Result<(), E>>,
) -> Result<(), ProblemResponse>
where
    ProblemResponse: From<E>,
{
    let _span = Span::publish();
    match tokio::time::timeout(timeout, publishing).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(ProblemResponse::from(error)),
        Err(_) => Err(ProblemResponse::unavailable(
            "broker-away",
            "the broker did not confirm in time",
            "send it again after a moment, with the same id; it has no second effect if it did arrive",
        )),
    }
}

fn accepted(received: &Received) -> Accepted {
    Accepted {
        identity: received.envelope.identity.clone(),
    }
}

/// Maps a decoding error to a problem. For types that the token may not publish, the response does not tell whether the
/// data is valid.
fn refused(error: BindingError, token: &Token, takes: Takes) -> ProblemResponse {
    match error {
        BindingError::Format(reason) => ProblemResponse::unsupported_media_type(reason),
        BindingError::Decode(error) => {
            let name = error.kind.as_deref();
            if let Some(name) = name.filter(|name| !token.allows(name)) {
                return ProblemResponse::not_allowed(name);
            }
            let kind = name.and_then(|name| name.parse::<Kind>().ok());
            match kind.map(|kind| takes.check(kind)) {
                Some(Err(answer)) => answer,
                Some(Ok(())) | None => ProblemResponse::from(*error),
            }
        }
    }
}

impl Takes {
    fn check(self, kind: Kind) -> Result<(), ProblemResponse> {
        match (kind.class(), self) {
            (Class::Event, _) | (Class::Command, Self::EventsAndCommands) => Ok(()),
            (Class::Command, Self::Events) => Err(command_refused(kind)),
            (Class::Internal | Class::Result, _) => Err(not_publishable(kind)),
        }
    }
}

fn outgoing(
    received: Received,
    token: &Token,
    takes: Takes,
    trace: &TraceParent,
    now: Timestamp,
) -> Result<(Outgoing, Option<Envelope>), ProblemResponse> {
    let Received {
        envelope,
        mut attributes,
    } = received;
    let kind = envelope.message.kind();
    takes.check(kind)?;
    token.permit(&envelope).map_err(ProblemResponse::denied)?;
    let trace = envelope.traceparent.as_ref().unwrap_or(trace);
    attributes.insert("traceparent".to_owned(), trace.as_str().into());
    attributes.insert("actor".to_owned(), token.principal().into());
    let body = serde_json::to_vec(&attributes).expect("a JSON object can be written");
    if body.len() > MAX_BODY_BYTES {
        return Err(ProblemResponse::too_large(MAX_BODY_BYTES));
    }
    let message = Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            timestamp: Timestamp::from_second(now.as_second()).ok(),
            ..Properties::default()
        },
        body: body.into(),
    };
    let command = (kind.class() == Class::Command).then_some(envelope);
    Ok((message, command))
}

fn command_refused(kind: Kind) -> ProblemResponse {
    Problem::new(403, Code::NotAllowed.as_str(), "only events are accepted here")
        .with_detail(format!(
            "{kind} is a command: send it to the console's /v1/events"
        ))
        .with_place("$.type")
        .into()
}

fn not_publishable(kind: Kind) -> ProblemResponse {
    Problem::new(
        400,
        Code::UnexpectedType.as_str(),
        "only events and commands are accepted",
    )
    .with_detail(format!(
        "{kind} is a type of {}s, which only workers publish",
        kind.class()
    ))
    .with_place("$.type")
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_events_and_commands_can_be_published() {
        for kind in Kind::ALL {
            let class = kind.class();
            assert_eq!(
                Takes::Events.check(*kind).is_ok(),
                class == Class::Event,
                "{kind}"
            );
            let publishable = matches!(class, Class::Event | Class::Command);
            assert_eq!(
                Takes::EventsAndCommands.check(*kind).is_ok(),
                publishable,
                "{kind}"
            );
        }
    }
}
