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

/// Counts, across crashes of workers, the delivery attempts that began and did not end. This detects poison messages.
#[async_trait]
pub trait DeliveryAttempts: Debug + Send + Sync + 'static {
    /// How many attempts at each of these began without an end, in their order. `None` for a completed message.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError>;

    /// Counts one more attempt for each of these, before it begins. `attempts` must have no duplicates.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn record(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError>;

    /// Deletes the counts of these, because their processing ended, whatever the outcome.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clear(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError>;
}
