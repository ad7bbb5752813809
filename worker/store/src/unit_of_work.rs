use std::fmt::Debug;

use async_trait::async_trait;

use super::{ExecutionTransaction, Facts, Flagged, Keys, Lease, NewCause, StoreError};

/// Begins transactions: the one way in which messages change what Lockstep keeps, for batches and for runs.
///
/// A transaction takes its locks in one order, whichever messages it is for: rules of groups, lease, repository, device, management domain,
/// running element, dead letter, inbox, follow-up; within each by id or by key. A transaction that also changes executions begins without
/// leases and other locks, and takes those of [`executions`](Transaction::executions) first.
/// [`begin`](Self::begin) takes all locks but the last two, and [`commit`](Transaction::commit) writes in this order. Before anything else
/// about devices, it removes and renames them; a renamed device takes the open elements and the lease of its executions along, which are
/// locked after the devices, by whoever waits for no lock of a device.
#[async_trait]
pub trait UnitOfWork: Debug + Send + Sync + 'static {
    /// Begins a transaction: locks the leases that are still held, then reads and locks what the keys name. Waits for one
    /// lock at most as long as the store's lock time-out.
    ///
    /// A lost lease is no error: [`Facts::holds`] returns false for it, and its part of the work is skipped.
    ///
    /// # Errors
    /// See [`StoreError`]; nothing was written.
    async fn begin(&self, leases: &[Lease], keys: &Keys)
    -> Result<(Facts, Box<dyn Transaction>), StoreError>;
}

/// An open transaction. Dropping it rolls back.
#[async_trait]
pub trait Transaction: Send {
    /// Unsynchronizes the devices that [`Keys::flag`] selects, for this cause, and returns which devices these are: results
    /// that depend on it are made before the commit. A cause that concerns no device is not written.
    ///
    /// # Errors
    /// See [`StoreError`]; the transaction is to be dropped.
    async fn flag(&mut self, cause: &NewCause) -> Result<Flagged, StoreError>;

    /// The tasks, schedules and executions, as a part of this transaction.
    fn executions(&mut self) -> Box<dyn ExecutionTransaction + '_>;

    /// Writes the effects, completions and follow-ups that the facts have absorbed, gives back the leases that they release,
    /// and commits. The attempts that began with the transaction have decided, so their starts are given back before it waits.
    ///
    /// # Errors
    /// See [`StoreError`]. After [`StoreError::Unavailable`] the transaction may be committed or not: begin again with the same
    /// messages, whose inbox rows tell.
    async fn commit(self: Box<Self>, facts: &Facts) -> Result<(), StoreError>;
}
