//! A unit of work that records its transactions.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lockstep_store::{Facts, Keys, Lease, StoreError, Transaction, UnitOfWork};

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
    begun: Mutex<Vec<Begun>>,
}

impl CountedStore {
    pub(crate) fn new(store: Arc<dyn UnitOfWork>) -> Arc<Self> {
        Arc::new(Self {
            store,
            begun: Mutex::default(),
        })
    }

    /// All transactions since the last call.
    pub(crate) fn take_begun(&self) -> Vec<Begun> {
        std::mem::take(&mut self.begun.lock().unwrap_or_else(PoisonError::into_inner))
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
        self.store.begin(leases, keys).await
    }
}
