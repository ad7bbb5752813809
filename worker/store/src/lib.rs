//! What Lockstep remembers, behind small traits: the inbox, the fleet, and the causes of its flags.
//!
//! A batch of messages is one transaction: [`BatchStore::begin`] reads the [`Facts`] that the messages' [`Keys`] ask
//! for and locks their devices; handlers decide; [`Facts::absorb`] works the [`Effects`] into them, so that the next
//! message of the batch sees them; [`BatchTransaction::commit`] writes what changed, together with the inbox rows.
//!
//! Two implementations pass one contract suite: [`postgres`] and [`sqlite`].

mod column;
mod dead_letter;
mod delivery_attempt;
mod effects;
mod error;
mod error_class;
mod facts;
mod fleet;
mod inbox;
mod keys;
mod lease;
mod merged;
mod migrated;
pub mod postgres;
mod repository;
mod retention;
mod rows;
pub mod sqlite;
mod stats;

use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::Identity;

pub use dead_letter::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterSelector,
    DeadLetterState, DeadLetterSummary, DeadLetterTotals, DeadLetters, MessageProperties, NewDeadLetter,
};
pub use delivery_attempt::{DeliveryAttempt, DeliveryAttempts};
pub use effects::{DeviceEffect, Effects, SettleDeadLetters};
pub use error::{Retryability, StoreError};
pub use facts::{Facts, Flips, NewCause, Origin, SettledDeadLetters};
pub use fleet::{CauseId, CauseRow, Device, DeviceId, DeviceQuery, Fleet};
pub use inbox::{Completion, InboxRow, InboxState};
pub use keys::Keys;
pub use lease::{Lease, Leases};
pub use repository::{
    Advance, Changed, CompletionsOf, DevicePredicate, DeviceSelector, Flagged, Flags, Repositories,
    RepositoryChange, RepositoryRow,
};
pub use retention::{Expired, OpenCauses, Records, Retention};
pub use rows::{
    Attributes, ClientRow, DeviceRow, GroupRow, InterfaceRow, Lifecycle, Link, LinkEnd, SyncState, Version,
};
pub use stats::{DevicesInState, Sessions, Stats, Summary};

/// Works batches of messages, each in one transaction.
#[async_trait]
pub trait BatchStore: Debug + Send + Sync + 'static {
    /// Begins a transaction: reads what the keys name, and locks the devices among it until the end of the transaction,
    /// sorted, so that two batches never wait for one another in a circle. Waits at most the store's lock time-out.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written.
    async fn begin(&self, keys: &Keys) -> Result<(Facts, Box<dyn BatchTransaction>), StoreError>;
}

/// An open transaction. Dropping it rolls back.
#[async_trait]
pub trait BatchTransaction: Send {
    /// Writes what the batch changed and commits.
    ///
    /// # Errors
    /// See [`StoreError`]. On [`StoreError::Unavailable`] it is not known whether the transaction was committed: the
    /// same batch is to be begun again, and the inbox tells.
    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError>;
}

/// Remembers every message that was worked.
#[async_trait]
pub trait Inbox: Debug + Send + Sync + 'static {
    /// What became of a message, if it was worked.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn outcome(&self, identity: &Identity) -> Result<Option<InboxRow>, StoreError>;
}

/// Keeps the schema up to date, and says whether the store can be used.
#[async_trait]
pub trait Schema: Debug + Send + Sync + 'static {
    /// Brings the schema up to the version of this program. Two that start at once wait for one another. A newer schema on
    /// which this program may work stays as it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn migrate(&self) -> Result<Migrated, StoreError>;

    /// Asks the store for a sign of life.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn ping(&self) -> Result<(), StoreError>;

    /// What time it is there: the clock leases count on.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn now(&self) -> Result<Timestamp, StoreError>;
}

/// What a migration did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version of the schema now.
    pub version: u32,
    /// The version this program is made for.
    pub known: u32,
    /// The migrations that were applied, by name.
    pub applied: Vec<String>,
}
