use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::{BusError, PublishError};

use lockstep_store::StoreError;

/// Something that may get lost on the way, and how it comes back.
#[async_trait]
pub trait Repair: Debug + Send + Sync + 'static {
    /// What is repaired, in a word: for logs and metrics.
    fn what(&self) -> &'static str;

    /// Repairs the next page of what is due. It remembers how far it came; a page that failed, or whose future was dropped,
    /// is done again.
    ///
    /// # Errors
    /// See [`RepairError`]: the next pass tries again.
    async fn page(&self) -> Result<Page, RepairError>;
}

/// What a page came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many were repaired.
    pub repaired: u64,
    /// Whether there may be more.
    pub more: bool,
}

/// Why something was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker, asked for its objects.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The broker, as messages were published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Store or broker did not answer in time.
    #[error("it took longer than {0:?}; the next pass goes on")]
    TookTooLong(Duration),
}
