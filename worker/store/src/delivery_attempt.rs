use std::collections::BTreeSet;
use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::MessageKey;

use super::StoreError;

/// Identifies what is attempted: the processing of a message at one of its redrive counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryAttempt {
    /// The message.
    pub message: MessageKey,
    /// How often its dead letter was requeued.
    pub redrive_count: u32,
}

/// The start of an attempt: from here on the message can crash its worker. Waiting for the store or for a lock is no start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptStart {
    /// What is attempted.
    pub attempt: DeliveryAttempt,
    /// How many attempts before this one began without an end.
    pub unfinished: u32,
}

/// Counts, across crashes of workers, the delivery attempts that began and did not end. This detects poison messages.
///
/// Starts are recorded and given back by their number, so repeating either changes nothing.
#[async_trait]
pub trait DeliveryAttempts: Debug + Send + Sync + 'static {
    /// How many attempts at each of these began without an end, in their order. `None` for a completed message.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError>;

    /// Counts these starts. A start that begins with a transaction is among its [`Keys`](super::Keys::starts) instead.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn record(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError>;

    /// Takes these starts out of the count, and keeps those before them: the attempts neither ended nor crashed.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn give_back(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError>;

    /// Deletes the counts of these, because their processing ended, whatever the outcome.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clear(&self, attempts: &BTreeSet<DeliveryAttempt>) -> Result<(), StoreError>;
}
