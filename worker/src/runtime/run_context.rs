//! What a run lane gives to a runner: when to stop, how long it has, its leases, and the way to commit.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use lockstep_store::{
    AttemptStart, DeliveryAttempts, ExecutionTransaction, Facts, Flagged, Keys, NewCause, StoreError,
    Transaction, UnitOfWork,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::lease::{HeldLeases, InTransaction};
use super::poison::give_back;

/// The context of a run: cancellation, leases, and transactions.
#[derive(Debug)]
pub struct RunContext<'a> {
    /// Fires when the run is to end: when the worker stops, when a lease is lost or could not be renewed for two thirds of its
    /// time, and at the deadline. After that no step outside of the store begins, except to undo one. The run then has the
    /// grace time of its lane, which ends before its leases do; after that its future is dropped.
    pub cancel: CancellationToken,
    /// When `cancel` fires at the latest.
    pub deadline: Instant,
    /// The leases that [`Runner::leases`](super::Runner::leases) named.
    pub leases: &'a HeldLeases,
    /// What the run does now, for people.
    pub progress: Progress,
    store: &'a dyn UnitOfWork,
    /// The counted starts of its attempts.
    starts: Option<(&'a BTreeSet<AttemptStart>, &'a dyn DeliveryAttempts)>,
}

impl<'a> RunContext<'a> {
    /// A context for a run under these leases.
    pub fn new(leases: &'a HeldLeases, store: &'a dyn UnitOfWork, deadline: Instant) -> Self {
        Self {
            cancel: CancellationToken::new(),
            deadline,
            leases,
            progress: Progress::default(),
            store,
            starts: None,
        }
    }

    /// The same for attempts whose starts are counted: not while the run waits for the locks of a transaction.
    pub(super) fn counting(
        self,
        starts: &'a BTreeSet<AttemptStart>,
        attempts: &'a dyn DeliveryAttempts,
    ) -> Self {
        Self {
            starts: Some((starts, attempts)),
            ..self
        }
    }

    /// Begins a transaction under the leases of the run. Ask [`HeldLeases::are_held`] before anything is written.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn begin(&self, keys: &Keys) -> Result<(Facts, RunTransaction<'a>), StoreError> {
        let mut keys = keys.clone();
        if let Some((starts, attempts)) = self.starts {
            give_back(attempts, starts).await;
            keys.starts.extend(starts.iter().cloned());
        }
        let guard = self.leases.in_transaction();
        let (facts, transaction) = self.store.begin(self.leases.leases(), &keys).await?;
        let transaction = RunTransaction {
            transaction,
            leases: self.leases,
            _guard: guard,
        };
        Ok((facts, transaction))
    }
}

/// An open transaction of a run. Dropping it rolls back.
pub struct RunTransaction<'a> {
    transaction: Box<dyn Transaction>,
    leases: &'a HeldLeases,
    _guard: InTransaction<'a>,
}

impl RunTransaction<'_> {
    /// Flags the devices that the keys select; see [`Transaction::flag`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn flag(&mut self, cause: &NewCause) -> Result<Flagged, StoreError> {
        self.transaction.flag(cause).await
    }

    /// The tasks, schedules and executions, as a part of this transaction; see [`Transaction::executions`].
    pub fn executions(&mut self) -> Box<dyn ExecutionTransaction + '_> {
        self.transaction.executions()
    }

    /// Commits, and keeps the leases for more.
    ///
    /// # Errors
    /// See [`Transaction::commit`].
    pub async fn commit(self, facts: &Facts) -> Result<(), StoreError> {
        self.transaction.commit(facts).await
    }

    /// Commits and gives the leases back in the same transaction: the last commit of a run.
    ///
    /// # Errors
    /// See [`Transaction::commit`].
    pub async fn commit_and_release(self, mut facts: Facts) -> Result<(), StoreError> {
        for lease in self.leases.leases() {
            facts.release(lease.clone());
        }
        self.transaction.commit(&facts).await?;
        self.leases.note_released();
        Ok(())
    }
}

/// The step of a run that is under way: what the reason of a time-out names.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<Mutex<Option<&'static str>>>);

impl Progress {
    /// A step begins, such as `fetch`.
    pub fn begin(&self, step: &'static str) {
        tracing::debug!(step, "step of a run begins");
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(step);
    }

    /// The step that is under way.
    pub fn step(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
