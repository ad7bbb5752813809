//! A unit of work that records its transactions, and that a test holds up or makes fail.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_store::{Facts, Keys, Lease, Migrated, Schema, StoreError, Transaction, UnitOfWork};
use tokio::sync::watch;

/// A transaction that began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begun {
    /// How many different messages it is for.
    pub(crate) messages: usize,
    /// Whether it takes them for new.
    pub(crate) assumes_new: bool,
}

#[derive(Debug)]
pub(crate) struct CountedStore {
    store: Arc<dyn UnitOfWork>,
    schema: Arc<dyn Schema>,
    begun: Mutex<Vec<Begun>>,
    /// Transactions wait before they begin.
    holds: watch::Sender<bool>,
    /// It does not say whether it is there.
    is_silent: watch::Sender<bool>,
    /// So many of the next transactions fail, as if the store were away for a moment.
    failures: Mutex<u32>,
}

impl CountedStore {
    pub(crate) fn new<S: UnitOfWork + Schema>(store: Arc<S>) -> Arc<Self> {
        Arc::new(Self {
            store: store.clone(),
            schema: store,
            begun: Mutex::default(),
            holds: watch::Sender::new(false),
            is_silent: watch::Sender::new(false),
            failures: Mutex::default(),
        })
    }

    /// From now on, transactions wait.
    pub(crate) fn hold(&self) {
        self.holds.send_replace(true);
    }

    /// All that wait go on.
    pub(crate) fn release(&self) {
        self.holds.send_replace(false);
    }

    /// Transactions wait, and nobody is told whether the store is there.
    pub(crate) fn leave(&self) {
        self.is_silent.send_replace(true);
        self.hold();
    }

    pub(crate) fn come_back(&self) {
        self.is_silent.send_replace(false);
        self.release();
    }

    /// The next transactions fail.
    pub(crate) fn fail(&self, transactions: u32) {
        *self.failures.lock().unwrap_or_else(PoisonError::into_inner) = transactions;
    }

    /// All transactions, which stay recorded.
    pub(crate) fn begun(&self) -> Vec<Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All transactions since the last call.
    pub(crate) fn take_begun(&self) -> Vec<Begun> {
        std::mem::take(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// How often a transaction that waits is looked at, as if the database sent something.
const LOOKED_AT: Duration = Duration::from_millis(2);

impl CountedStore {
    async fn released(&self) {
        let mut holds = self.holds.subscribe();
        while *holds.borrow_and_update() {
            let _ = tokio::time::timeout(LOOKED_AT, holds.changed()).await;
        }
    }

    fn fails(&self) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let fails = *failures > 0;
        *failures = failures.saturating_sub(1);
        fails
    }
}

#[async_trait]
impl UnitOfWork for CountedStore {
    async fn begin(
        &self,
        leases: &[Lease],
        keys: &Keys,
    ) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        self.begun
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Begun {
                messages: keys.messages.len(),
                assumes_new: keys.assume_new,
            });
        self.released().await;
        if self.fails() {
            return Err(StoreError::Unavailable {
                operation: "begin",
                source: "it is away".into(),
            });
        }
        self.store.begin(leases, keys).await
    }
}

#[async_trait]
impl Schema for CountedStore {
    async fn migrate(&self) -> Result<Migrated, StoreError> {
        self.schema.migrate().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let _ = self.is_silent.subscribe().wait_for(|silent| !silent).await;
        self.schema.ping().await
    }

    async fn now(&self) -> Result<Timestamp, StoreError> {
        self.schema.now().await
    }
}
