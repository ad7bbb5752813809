use std::sync::Arc;

use axum::extract::{Request, State};
use lockstep_http::{Operator, ProblemResponse, Receipt, Submission, Takes};
use lockstep_protocol::envelope::MAX_BODY_BYTES;

use crate::access::Client;
use crate::context::Shared;

/// `POST /v1/events`: publishes one message or a batch, and answers after the broker confirmed all of it.
pub(crate) async fn publish(
    operator: Operator,
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Result<Receipt, ProblemResponse> {
    let (parts, body) = request.into_parts();
    let buffered = shared.bodies.read(body, MAX_BODY_BYTES).await?;
    let now = shared.context.clock.now();
    let submission = Submission::read(
        &operator,
        Takes::EventsAndCommands,
        &parts.headers,
        &buffered.bytes,
        now,
    )?;
    drop(buffered);
    let count = submission.messages.len();
    let receipt = shared.submit(&operator, &Client::of(&parts), submission).await?;
    tracing::debug!(messages = count, "messages published");
    Ok(receipt)
}
