use std::sync::Arc;

use axum::extract::{Request, State};
use lockstep_http::{Operator, ProblemResponse, Receipt, Submission, Takes};
use lockstep_protocol::envelope::MAX_BODY_BYTES;

use super::Shared;

/// `POST /v1/events`: publishes one event or a batch, and responds when the broker has confirmed all of it.
pub(super) async fn publish(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Receipt, ProblemResponse> {
    let (parts, body) = request.into_parts();
    let buffered = shared.event_bodies.read(body, MAX_BODY_BYTES).await?;
    let _place = shared.place()?;
    let now = (shared.context.now)();
    let Submission {
        messages, receipt, ..
    } = Submission::read(&operator, Takes::Events, &parts.headers, &buffered.bytes, now)?;
    drop(buffered);
    let count = messages.len();
    shared.publish(messages).await?;
    tracing::debug!(messages = count, "published events");
    Ok(receipt)
}
