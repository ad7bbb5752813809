use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::{BusError, PublishError};

use lockstep_store::StoreError;

/// A kind of loss that the reconcile pass repairs.
#[async_trait]
pub trait Repair: Debug + Send + Sync + 'static {
    /// The kind of the repaired objects in one word, for logs and metrics.
    fn what(&self) -> &'static str;

    /// Repairs the next page of what is due. The implementation keeps the position; a page that failed, or whose future was
    /// dropped, is repeated.
    ///
    /// # Errors
    /// See [`RepairError`]: the next pass tries again.
    async fn page(&self) -> Result<Page, RepairError>;
}

/// The result of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The number of repairs.
    pub repaired: u64,
    /// Whether another page may be due.
    pub more: bool,
}

/// Why something was not repaired.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker failed to check or declare its objects.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The broker failed to confirm a message.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Store or broker did not answer in time.
    #[error("it took longer than {0:?}; the next pass continues")]
    TookTooLong(Duration),
}
