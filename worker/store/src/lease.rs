use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// The exclusive right to run something for a limited time, measured by the store's clock.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// The name of the lease, such as `repository/settings`.
    pub name: String,
    /// Identifies this acquisition.
    pub owner: Uuid,
    /// Increases with each acquisition. Writes under an older fence are refused.
    pub fence: i64,
}

/// Acquires, renews and releases leases.
#[async_trait]
pub trait Leases: Debug + Send + Sync + 'static {
    /// Acquires a lease for `time`. `None` if another holder's lease has not expired. An earlier holder can write nothing after
    /// this.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError>;

    /// Extends a lease to `time` from now. False if it is lost.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError>;

    /// Releases a lease. Does nothing if it is lost.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;
}
