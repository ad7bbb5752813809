use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::HeaderMap;
use lockstep_http::{Operator, ProblemResponse, Receipt, Submission, Takes, confirmed};

use crate::console::Shared;

/// `POST /v1/events`: publishes one message or a batch, and answers after the broker confirmed all of it.
pub(crate) async fn publish(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Receipt, ProblemResponse> {
    let now = shared.context.clock.now();
    let Submission { messages, receipt } =
        Submission::read(&operator, Takes::EventsAndCommands, &headers, &body?, now)?;
    let count = messages.len();
    confirmed(
        shared.limits.publish_timeout,
        shared.context.bus.publish(messages),
    )
    .await?;
    tracing::debug!(messages = count, "messages published");
    Ok(receipt)
}
