use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Identity};
pub use lockstep_protocol::{DeadLetterState, MessageProperties};

use super::StoreError;

/// A dead letter to be written: a message that could not be processed, with its bytes. Commits together with its inbox row.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDeadLetter {
    /// The identity in the inbox; derived from the content if the message has no usable one.
    pub identity: Identity,
    /// How often the message had been requeued before.
    pub redrive_count: u32,
    /// The lane that dead-lettered it.
    pub lane: Lane,
    /// The type that the message names; empty if it could not be decoded.
    pub kind: String,
    /// The subject of the message.
    pub subject: Option<String>,
    /// The authenticated sender.
    pub actor: Option<String>,
    /// Why it was dead-lettered, for programs.
    pub code: Code,
    /// Why it was dead-lettered, for people.
    pub reason: String,
    /// The JSON path in the message to which the reason refers.
    pub place: Option<String>,
    /// The number of attempts at processing it.
    pub attempts: u32,
    /// The time of the first attempt.
    pub first_at: Timestamp,
    /// When it was dead-lettered.
    pub dead_lettered_at: Timestamp,
    /// The body as received.
    pub body: Bytes,
    /// The AMQP properties of the message that are kept.
    pub properties: MessageProperties,
}

/// A dead letter in the table, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// Its number, by which operators and commands refer to it.
    pub number: u64,
    /// Whether it is unsettled, requeued, or dropped.
    pub state: DeadLetterState,
    /// When it was requeued or dropped.
    pub settled_at: Option<Timestamp>,
    /// The actor who requeued or dropped it.
    pub settled_by: Option<String>,
    /// The identity in the inbox; derived from the content if the message has no usable one.
    pub identity: Identity,
    /// How often the message had been requeued before.
    pub redrive_count: u32,
    /// The lane that dead-lettered it, as text, because a newer worker may know more lanes. See
    /// [`DeadLetterSummary::known_lane`].
    pub lane: String,
    /// The type that the message names; empty if it could not be decoded.
    pub kind: String,
    /// The subject of the message.
    pub subject: Option<String>,
    /// The authenticated sender.
    pub actor: Option<String>,
    /// Why it was dead-lettered, for programs: text, because a newer worker may know more codes.
    pub code: String,
    /// Why it was dead-lettered, for people.
    pub reason: String,
    /// The JSON path in the message to which the reason refers.
    pub place: Option<String>,
    /// The number of attempts at processing it.
    pub attempts: u32,
    /// The time of the first attempt.
    pub first_at: Timestamp,
    /// When it was dead-lettered.
    pub dead_lettered_at: Timestamp,
    /// The length of its body in bytes.
    pub bytes: u64,
}

impl DeadLetterSummary {
    /// The lane that dead-lettered it. `None` if a newer worker wrote it and this program does not know the lane; only a newer
    /// worker can then requeue it.
    pub fn known_lane(&self) -> Option<Lane> {
        self.lane.parse().ok()
    }
}

/// A dead letter in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// All fields except body and properties.
    pub head: DeadLetterSummary,
    /// The body as received.
    pub body: Bytes,
    /// The AMQP properties of the message that are kept.
    pub properties: MessageProperties,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only those in this state.
    pub state: Option<DeadLetterState>,
    /// Only those with this code.
    pub code: Option<String>,
    /// Only those of this lane.
    pub lane: Option<Lane>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// The maximum number of dead letters to return.
    pub limit: u32,
}

/// Which unsettled dead letters to count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCountQuery {
    /// Only those with this code.
    pub code: Option<String>,
    /// Only those of this lane.
    pub lane: Option<Lane>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// The maximum number of groups to return; the total counts all dead letters.
    pub limit: u32,
}

/// The number of unsettled dead letters, read in one snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// The number of the newest one; `None` if there is none.
    pub newest: Option<u64>,
    /// How many match the query.
    pub total: u64,
    /// Counts by lane, type and code, the largest first.
    pub groups: Vec<DeadLetterGroupCount>,
}

/// The number of unsettled dead letters with the same lane, type and code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroupCount {
    /// The lane that dead-lettered them.
    pub lane: String,
    /// The type that they name; empty if they could not be decoded.
    pub kind: String,
    /// Why they were dead-lettered.
    pub code: String,
    /// The number of them.
    pub count: u64,
}

/// Which dead letters a command settles.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadLetterSelector {
    /// The one with this number.
    One(u64),
    /// All unsettled ones that match.
    Matching(DeadLetterSelection),
    /// The same without those that cannot be requeued: see `Code::FINAL`.
    Requeueable(DeadLetterSelection),
}

/// Reads the table of dead letters.
#[async_trait]
pub trait DeadLetters: Debug + Send + Sync + 'static {
    /// The dead letters of a query, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError>;

    /// How many dead letters match the filters of the query, on all pages.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64, StoreError>;

    /// Counts the unsettled dead letters of a query.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError>;

    /// The dead letter with this number, with its body. `None` if there is none.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError>;
}
