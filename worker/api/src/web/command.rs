//! Publishes what a form asks for, as `POST /v1/events` does, and leads to what became of it.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Redirect, Response};
use lockstep_http::{ProblemResponse, Submission, Takes};
use lockstep_protocol::envelope::CONTENT_TYPE as CLOUDEVENT;
use lockstep_protocol::{Envelope, Identity, Message, MessageKey, Source, WorkResult};
use tokio::time::Instant;

use super::failure::Failure;
use super::form::Form;
use super::link;
use super::viewer::Viewer;
use crate::context::Shared;
use crate::outcome::{Awaited, await_outcome};

/// The source of messages from forms.
pub(super) const SOURCE: &str = "urn:lockstep:console";
/// How long a form waits for its outcome. Then it leads to a page that says whether there is one.
const WAIT: Duration = Duration::from_secs(5);

/// Publishes a command and waits for its outcome. Leads to the execution that it began, else to `back`; to the page of the message if it
/// was rejected or is not processed yet.
///
/// # Errors
/// The viewer may not send it, the broker does not take it, or the store cannot be read.
pub(super) async fn send(
    shared: &Shared,
    viewer: &Viewer,
    form: &Form,
    command: impl Into<Message>,
    back: &str,
) -> Result<Response, Failure> {
    let identity = publish(shared, viewer, form, vec![command.into()]).await?;
    let identity = identity
        .into_iter()
        .next()
        .ok_or_else(ProblemResponse::internal)?;
    let awaited = Awaited {
        message: MessageKey {
            identity: identity.clone(),
            actor: Some(viewer.operator.principal().into()),
        },
        digest: None,
    };
    let row = await_outcome(shared, &awaited, Instant::now() + WAIT).await?;
    let place = match row.map(|row| row.result.into_result()) {
        None | Some(WorkResult::MessageRejected(_)) => page_of(&identity),
        Some(WorkResult::ExecutionAccepted(accepted)) => format!("/executions/{}", accepted.execution),
        Some(_) => link::with(back, [("sent", identity.id.as_str())]),
    };
    Ok(Redirect::to(&place).into_response())
}

/// Publishes commands together and does not wait. Returns their identities in the same order.
///
/// # Errors
/// The viewer may not send one of them, or the broker does not take them.
pub(super) async fn publish(
    shared: &Shared,
    viewer: &Viewer,
    form: &Form,
    commands: Vec<Message>,
) -> Result<Vec<Identity>, Failure> {
    let now = shared.context.clock.now();
    let mut headers = form.headers.clone();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(CLOUDEVENT));
    let mut identities = Vec::with_capacity(commands.len());
    let mut submission: Option<Submission> = None;
    for command in commands {
        let envelope = Envelope::new(source(), now, command);
        let body = envelope.encode();
        let read = Submission::read(&viewer.operator, Takes::EventsAndCommands, &headers, &body, now)?;
        match &mut submission {
            None => submission = Some(read),
            Some(submission) => {
                submission.messages.extend(read.messages);
                submission.commands.extend(read.commands);
            }
        }
        identities.push(envelope.identity);
    }
    if let Some(submission) = submission {
        shared.submit(&viewer.operator, &form.client, submission).await?;
    }
    Ok(identities)
}

/// The page that says what became of a message.
pub(super) fn page_of(identity: &Identity) -> String {
    link::with("/messages", [("id", identity.id.as_str())])
}

/// The source of messages from forms.
pub(super) fn source() -> Source {
    Source::try_from(SOURCE.to_owned()).expect("a fixed URN is a source")
}
