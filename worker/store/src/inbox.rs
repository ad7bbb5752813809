use std::sync::Arc;

use jiff::Timestamp;
pub use lockstep_protocol::InboxState;
use lockstep_protocol::{Digest, Identity, WorkResult};

use super::{FollowUpKey, NewDeadLetter};

/// A message that was worked, and what became of it. Commits together with its effects.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// Who the message is.
    pub identity: Identity,
    /// How often it was requeued as a dead letter. A row of a later epoch takes the place of a dead one, and of no other.
    pub redrive_count: u32,
    /// The type it claims; empty where it could not be read.
    pub kind: String,
    /// What it said.
    pub digest: Digest,
    /// What became of it.
    pub state: InboxState,
    /// When that was decided.
    pub at: Timestamp,
    /// Who sent it, as authenticated.
    pub actor: Option<String>,
    /// What it was about.
    pub subject: Option<String>,
    /// What was answered: published again, unchanged, whenever the message comes again.
    pub result: WorkResult,
    /// Whether it caused follow-ups, which are published before the message is acknowledged.
    pub follow_ups: bool,
}

/// How a message ended. All of it commits together with what the message did.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// What is remembered.
    pub row: Arc<InboxRow>,
    /// Its dead letter, where it died.
    pub dead_letter: Option<NewDeadLetter>,
    /// The row of the message, where it is itself a follow-up: it is processed now.
    pub follow_up: Option<FollowUpKey>,
}

/// A message that came only once, and was applied.
impl From<InboxRow> for Completion {
    fn from(row: InboxRow) -> Self {
        Self {
            row: Arc::new(row),
            dead_letter: None,
            follow_up: None,
        }
    }
}
