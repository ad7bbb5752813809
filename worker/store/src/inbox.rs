use std::borrow::Cow;

use jiff::Timestamp;
pub use lockstep_protocol::InboxState;
use lockstep_protocol::{Digest, EncodedResult, Identity, Kind, MessageId, MessageKey, SmolStr};

use super::{FollowUpKey, NewAuditDecision, NewDeadLetter, column};

/// The record of a processed message: its outcome and its result. Commits together with the effects of the message.
#[derive(Clone, Debug, PartialEq)]
pub struct InboxRow {
    /// The identity of the message; derived from its content if it has no usable one.
    pub identity: Identity,
    /// How often its dead letter was requeued. A row with a higher count replaces a dead-lettered one, never an applied one.
    pub redrive_count: u32,
    /// The type that the message names; empty if it could not be decoded.
    pub kind: SmolStr,
    /// The digest of its content: detects another message that reuses the identity.
    pub digest: Digest,
    /// Whether it was applied or dead-lettered.
    pub state: InboxState,
    /// When it was decided.
    pub at: Timestamp,
    /// The authenticated sender.
    pub actor: Option<SmolStr>,
    /// The subject of the message.
    pub subject: Option<String>,
    /// Its result. It is published again, with the same bytes, whenever the message is redelivered.
    pub result: EncodedResult,
    /// Whether it caused follow-ups, which are published before the message is acknowledged.
    pub follow_ups: bool,
    /// The trace that it belongs to: 32 hexadecimal digits. `None` if its sender gave none.
    pub trace_id: Option<SmolStr>,
}

impl InboxRow {
    /// What the store knows the message by.
    pub fn key(&self) -> MessageKey {
        MessageKey {
            identity: self.identity.clone(),
            actor: self.actor.clone(),
        }
    }

    /// The id of the `index`-th follow-up message of a kind; see [`MessageKey::derive`].
    pub fn derive(&self, kind: Kind, index: u64) -> MessageId {
        self.identity.derive_for(self.actor.as_deref(), kind, index)
    }

    /// The row as a store gives it back: times in microseconds, and texts without U+0000.
    pub(crate) fn into_stored(mut self) -> Self {
        self.at = Timestamp::from_microsecond(column::microseconds(self.at)).unwrap_or(self.at);
        if let Some(subject) = &mut self.subject
            && let Cow::Owned(stored) = column::without_nul(subject)
        {
            *subject = stored;
        }
        if let Cow::Owned(stored) = column::without_nul(&self.kind) {
            self.kind = stored.into();
        }
        self
    }
}

/// The completion of a message. All of it commits together with the effects of the message.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The inbox row of the message.
    pub row: InboxRow,
    /// Its dead letter, if it is dead-lettered.
    pub dead_letter: Option<NewDeadLetter>,
    /// The key of the follow-up that is finished with this message, if the message is one.
    pub follow_up: Option<FollowUpKey>,
    /// The entry of the audit, if it is a command.
    pub audit: Option<Box<NewAuditDecision>>,
}

/// The completion of a message that is applied, and is neither a follow-up nor a command.
impl From<InboxRow> for Completion {
    fn from(row: InboxRow) -> Self {
        Self {
            row,
            dead_letter: None,
            follow_up: None,
            audit: None,
        }
    }
}
