use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::Identity;

use super::StoreError;

/// The processing of a message, at one of its redrive counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryAttempt {
    /// The message.
    pub identity: Identity,
    /// How often it was requeued as a dead letter.
    pub redrive_count: u32,
}

/// Remembers across crashes of workers which processing began and did not end: this finds poison messages.
#[async_trait]
pub trait DeliveryAttempts: Debug + Send + Sync + 'static {
    /// How often the processing of each of these began without an end; `None` for a message that is completed. In their order.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError>;

    /// Counts one more attempt for each of these, before it begins; each is named once.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn record(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError>;

    /// Deletes the counts of these: their processing ended in one way or another.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn clear(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError>;
}
