//! Waits for the outcome of a message: its inbox row.

use std::time::Duration;

use lockstep_http::ProblemResponse;
use lockstep_protocol::{Digest, MessageKey};
use lockstep_store::{Inbox, InboxRow, StoreError};
use tokio::time::Instant;

use crate::context::Shared;
use crate::rest::problem;

/// Who waits reads the inbox again after this pause, which doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// The message whose outcome is awaited.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    pub(crate) message: MessageKey,
    /// The digest of its content, if it is known.
    pub(crate) digest: Option<Digest>,
}

/// The inbox row of the message, as soon as there is one; `None` if there is none at the deadline.
///
/// # Errors
/// The store cannot be read, or the console stops.
pub(crate) async fn await_outcome(
    shared: &Shared,
    awaited: &Awaited,
    deadline: Instant,
) -> Result<Option<InboxRow>, ProblemResponse> {
    let mut pause = FIRST_PAUSE;
    loop {
        let found = find(&*shared.context.inbox, awaited).await;
        if let Some(row) = found.map_err(problem::store_error)? {
            return Ok(Some(row));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        tokio::select! {
            () = shared.stop.cancelled() => return Err(ProblemResponse::stopping()),
            () = tokio::time::sleep(pause.min(left)) => {}
        }
        pause = LONGEST_PAUSE.min(pause * 2);
    }
}

/// The row of the message. Where another message used its identity before, that is the row of its rejection.
async fn find(inbox: &dyn Inbox, awaited: &Awaited) -> Result<Option<InboxRow>, StoreError> {
    let found = inbox.outcome(&awaited.message).await?;
    match (awaited.digest, found) {
        (Some(digest), Some(row)) if row.digest != digest => {
            inbox.outcome(&awaited.message.of_reuse(&digest)).await
        }
        (_, found) => Ok(found),
    }
}
