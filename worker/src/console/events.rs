use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::envelope::{CONTENT_TYPE, MAX_BODY_BYTES};
use lockstep_protocol::rest::{Accepted, Problem};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Class, Code, TraceParent};

use super::auth::{Operator, Token};
use super::binding::{self, BindingError, Content, Received};
use super::problem::Answer;
use super::{ConsoleLimits, Shared};

/// `POST /v1/events`: publishes one message or a batch, and answers when the broker has all of it. A batch is refused as
/// a whole if one of its messages is.
pub(super) async fn publish(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Answer> {
    let content = binding::read(&headers, &body?).map_err(|error| refused(error, &operator))?;
    let trace = headers.get("traceparent").and_then(|value| value.to_str().ok());
    let trace = trace.and_then(|text| TraceParent::try_from(text.to_owned()).ok());
    let now = shared.context.clock.now();
    let outgoing = |received: Received| outgoing(received, &operator, trace.as_ref(), now);
    match content {
        Content::One(received) => {
            let accepted = accepted(&received);
            send(&shared, vec![outgoing(*received)?]).await?;
            Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
        }
        Content::Batch(batch) => {
            let accepted: Vec<Accepted> = batch.iter().map(accepted).collect();
            let messages = batch.into_iter().map(outgoing).collect::<Result<Vec<_>, _>>()?;
            send(&shared, messages).await?;
            Ok((StatusCode::ACCEPTED, Json(accepted)).into_response())
        }
    }
}

fn accepted(received: &Received) -> Accepted {
    Accepted {
        identity: received.envelope.identity.clone(),
    }
}

/// A token learns nothing about types it may not publish, not even that the data is wrong.
fn refused(error: BindingError, token: &Token) -> Answer {
    match error {
        BindingError::Format(reason) => Answer::unsupported_media_type(reason),
        BindingError::Decode(error) => match &error.kind {
            Some(kind) if !token.allows(kind) => Answer::not_allowed(kind),
            _ => Answer::from(*error),
        },
    }
}

/// The message as it is published: what the sender wrote, with the authenticated actor and a trace.
fn outgoing(
    received: Received,
    token: &Token,
    trace: Option<&TraceParent>,
    now: Timestamp,
) -> Result<Outgoing, Answer> {
    let Received {
        envelope,
        mut attributes,
    } = received;
    let kind = envelope.message.kind();
    if !token.allows(kind.as_str()) {
        return Err(Answer::not_allowed(kind.as_str()));
    }
    match kind.class() {
        Class::Event | Class::Command => {}
        Class::Result => return Err(result_refused()),
    }
    let trace = envelope
        .traceparent
        .or_else(|| trace.cloned())
        .unwrap_or_else(new_trace);
    attributes.insert("traceparent".to_owned(), trace.as_str().into());
    attributes.insert("actor".to_owned(), token.name().into());
    let body = serde_json::to_vec(&attributes).expect("a JSON object can be written");
    if body.len() > MAX_BODY_BYTES {
        return Err(Answer::too_large());
    }
    Ok(Outgoing {
        destination: Destination::Inlet(kind),
        properties: Properties {
            message_id: Some(envelope.identity.id.into()),
            kind: Some(kind.as_str().to_owned()),
            content_type: Some(CONTENT_TYPE.to_owned()),
            timestamp: Timestamp::from_second(now.as_second()).ok(),
            ..Properties::default()
        },
        body: body.into(),
    })
}

async fn send(shared: &Shared, messages: Vec<Outgoing>) -> Result<(), Answer> {
    let ConsoleLimits { publish_timeout, .. } = shared.limits;
    let count = messages.len();
    match tokio::time::timeout(publish_timeout, shared.context.bus.publish(messages)).await {
        Ok(Ok(())) => {
            tracing::debug!(messages = count, "published");
            Ok(())
        }
        Ok(Err(error)) => Err(Answer::from(error)),
        Err(_) => Err(Answer::unavailable(
            "broker-away",
            "the broker did not confirm in time",
            "send it again after a moment, with the same id: it counts once even if it did arrive",
        )),
    }
}

fn result_refused() -> Answer {
    Problem::new(
        400,
        Code::UnexpectedType.as_str(),
        "only events and commands are taken",
    )
    .with_detail("results are what workers answer")
    .with_place("$.type")
    .into()
}

fn new_trace() -> TraceParent {
    // The lowest bit is set, so that neither id can be all zeros.
    let trace = rand::random::<u128>() | 1;
    let parent = rand::random::<u64>() | 1;
    TraceParent::try_from(format!("00-{trace:032x}-{parent:016x}-00")).expect("the format is version 00's")
}
