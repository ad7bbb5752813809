//! Waits for the outcome of a message that the broker has accepted.

use std::fmt;
use std::time::Duration;

use lockstep_protocol::rest::MessageView;
use lockstep_protocol::{Digest, Identity};

use super::client::Client;

/// A message was accepted, and what becomes of it is not known; the exit code is 75. It may still be processed, so a script must not
/// send it as a new message.
#[derive(Debug)]
pub(super) struct UnknownOutcome {
    identity: Identity,
    why: String,
}

/// The outcome of a message that was published before. Ends early at Ctrl-C.
///
/// # Errors
/// If there is no outcome in time, or it cannot be read.
pub(super) async fn await_outcome(
    client: &Client,
    identity: &Identity,
    digest: Digest,
    wait: Duration,
) -> Result<MessageView, UnknownOutcome> {
    let why = tokio::select! {
        answer = client.outcome(identity, digest, wait) => match answer {
            Ok(Some(view)) => return Ok(view),
            Ok(None) => format!("there is none after {} s", wait.as_secs()),
            Err(error) => format!("{error:#}"),
        },
        _ = tokio::signal::ctrl_c() => "interrupted".to_owned(),
    };
    Err(UnknownOutcome {
        identity: identity.clone(),
        why,
    })
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Identity { source, id } = &self.identity;
        write!(
            f,
            "the message was accepted as {id} from {source}, and its outcome is not known ({}); do not send it as a new message, since \
             it may still be processed. To see its outcome: lockstep messages show {id} --source {source}",
            self.why
        )
    }
}

impl std::error::Error for UnknownOutcome {}
