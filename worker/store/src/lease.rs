use std::fmt::Debug;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::StoreError;

/// The right to run something alone, for a while. Time is the store's: no worker's clock counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// What may be run, such as `repository/settings`.
    pub name: String,
    /// This acquisition.
    pub owner: Uuid,
    /// Grows with each acquisition: what runs write is refused under an older one.
    pub fence: i64,
}

/// Keeps leases.
#[async_trait]
pub trait Leases: Debug + Send + Sync + 'static {
    /// Takes a lease, unless somebody has it. Whoever had it before and is late can write nothing any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError>;

    /// Holds a lease for longer. False if it is lost.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError>;

    /// Gives a lease back. Giving back what is lost does nothing.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn release(&self, lease: &Lease) -> Result<(), StoreError>;
}
