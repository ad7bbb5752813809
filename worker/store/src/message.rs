use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::{EncodedResult, Identity, InboxState, MessageId, MessageKey, SmolStr, Source};

use super::{CauseId, DeadLetterSummary, StoreError};

/// A processed message, as it is found by its id.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageRow {
    /// Its identity.
    pub identity: Identity,
    /// Its sender, as authenticated.
    pub actor: Option<SmolStr>,
    /// The type that it names; empty if it could not be decoded.
    pub kind: String,
    /// Whether it was applied.
    pub state: InboxState,
    /// When that was decided.
    pub at: Timestamp,
    /// Its subject.
    pub subject: Option<String>,
    /// How often its dead letter was requeued.
    pub redrive_count: u32,
    /// The trace that it belongs to: 32 hexadecimal digits.
    pub trace_id: Option<SmolStr>,
    /// Its result.
    pub result: EncodedResult,
}

impl MessageRow {
    /// What the inbox knows the message by.
    pub fn key(&self) -> MessageKey {
        MessageKey {
            identity: self.identity.clone(),
            actor: self.actor.clone(),
        }
    }
}

/// Finds processed messages, and what is kept about one beside its inbox row.
#[async_trait]
pub trait Messages: Debug + Send + Sync + 'static {
    /// The processed messages with this id, of all senders, and of this source or of all; ordered by source and sender, at most `limit`.
    /// Of all sources, the first [`MOST_SOURCES`] are looked at.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn messages(
        &self,
        id: &MessageId,
        source: Option<&Source>,
        limit: u32,
    ) -> Result<Vec<MessageRow>, StoreError>;

    /// The dead letters of a message, newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letters_of(
        &self,
        message: &MessageKey,
        limit: u32,
    ) -> Result<Vec<DeadLetterSummary>, StoreError>;

    /// The causes that a message gave to devices, as far as they are kept, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn causes_of_message(&self, message: &MessageKey, limit: u32) -> Result<Vec<CauseId>, StoreError>;
}

/// In how many sources an id is looked for: each takes one look at the index.
pub const MOST_SOURCES: u32 = 10_000;
