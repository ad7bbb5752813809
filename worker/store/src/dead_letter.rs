use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::commands::DeadLetterSelection;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Identity};
pub use lockstep_protocol::{DeadLetterState, MessageProperties};

use super::StoreError;

/// A message that could not be worked, with its bytes. Commits together with the inbox row that says so.
#[derive(Clone, Debug, PartialEq)]
pub struct NewDeadLetter {
    /// Who it is, as the inbox knows it.
    pub identity: Identity,
    /// How often it was requeued before.
    pub redrive_count: u32,
    /// The lane in which it died.
    pub lane: Lane,
    /// The type it claims; empty where it could not be read.
    pub kind: String,
    /// What it was about.
    pub subject: Option<String>,
    /// Who sent it, as authenticated.
    pub actor: Option<String>,
    /// Why it died, for programs.
    pub code: Code,
    /// Why it died, for people.
    pub reason: String,
    /// Where in the message the reason is.
    pub place: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was received first.
    pub first_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
    /// The bytes as they came.
    pub body: Bytes,
    /// What stood beside them.
    pub properties: MessageProperties,
}

/// A dead letter in the table, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterSummary {
    /// Its number.
    pub number: u64,
    /// Where it is in its life.
    pub state: DeadLetterState,
    /// When it was requeued or dropped.
    pub settled_at: Option<Timestamp>,
    /// By whom.
    pub settled_by: Option<String>,
    /// Who it is, as the inbox knows it.
    pub identity: Identity,
    /// How often it was requeued before it died this time.
    pub redrive_count: u32,
    /// The lane in which it died: a text, since a newer worker may know more lanes. See [`DeadLetterSummary::known_lane`].
    pub lane: String,
    /// The type it claims; empty where it could not be read.
    pub kind: String,
    /// What it was about.
    pub subject: Option<String>,
    /// Who sent it, as authenticated.
    pub actor: Option<String>,
    /// Why it died, for programs: a text, since a newer worker may know more codes.
    pub code: String,
    /// Why it died, for people.
    pub reason: String,
    /// Where in the message the reason is.
    pub place: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was received first.
    pub first_at: Timestamp,
    /// When it died.
    pub died_at: Timestamp,
    /// The length of its body in bytes.
    pub bytes: u64,
}

impl DeadLetterSummary {
    /// The lane in which it died, if this program knows it. If not, a newer worker is there, or was, that can publish it
    /// again; this one leaves it alone.
    pub fn known_lane(&self) -> Option<Lane> {
        self.lane.parse().ok()
    }
}

/// A dead letter in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// All but its bytes.
    pub head: DeadLetterSummary,
    /// The bytes as they came.
    pub body: Bytes,
    /// What stood beside them.
    pub properties: MessageProperties,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterQuery {
    /// Only those in this state.
    pub state: Option<DeadLetterState>,
    /// Only those that died of this.
    pub code: Option<String>,
    /// Only those that died in this lane.
    pub lane: Option<Lane>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Only those with a smaller number.
    pub before: Option<u64>,
    /// At most so many.
    pub limit: u32,
}

/// Which dead letters to count, of those that nobody settled yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterCountQuery {
    /// Only those that died of this.
    pub code: Option<String>,
    /// Only those that died in this lane.
    pub lane: Option<Lane>,
    /// Only those of this type.
    pub kind: Option<String>,
    /// Tell at most so many groups; the total counts all of them.
    pub limit: u32,
}

/// How many dead letters nobody settled yet, all seen at the same time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetterTotals {
    /// The newest of them.
    pub newest: Option<u64>,
    /// How many there are.
    pub total: u64,
    /// How many of which lane, type and code, the most first.
    pub groups: Vec<DeadLetterGroupCount>,
}

/// Dead letters alike in lane, type and code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterGroupCount {
    /// The lane in which they died.
    pub lane: String,
    /// The type they claim; empty where it could not be read.
    pub kind: String,
    /// Why they died.
    pub code: String,
    /// How many they are.
    pub count: u64,
}

/// Which dead letters a command is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadLetterSelector {
    /// One.
    One(u64),
    /// All that nobody settled yet and that match.
    Matching(DeadLetterSelection),
}

/// Reads the table of dead letters.
#[async_trait]
pub trait DeadLetters: Debug + Send + Sync + 'static {
    /// The dead letters of a query, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError>;

    /// How many nobody settled yet.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError>;

    /// One of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError>;
}
