use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::Identity;

use super::StoreError;

/// The work on a message, in one of its epochs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DeliveryAttempt {
    /// The message.
    pub identity: Identity,
    /// How often it was requeued as a dead letter.
    pub redrive_count: u32,
}

/// Remembers which work began and never ended, across the deaths of workers: so a message that kills them is found.
#[async_trait]
pub trait DeliveryAttempts: Debug + Send + Sync + 'static {
    /// How often the work on each of these began without an end; `None` for a message that ended. In their order.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn begun(&self, starts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError>;

    /// Notes that the work on these begins; each is named once.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn note(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError>;

    /// Forgets these: the work on them ended in one way or another.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn forget(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError>;
}
