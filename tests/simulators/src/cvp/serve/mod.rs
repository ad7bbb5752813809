//! Nodes: TLS listeners, and the processing of a request from its arrival to its response.

mod node;
mod respond;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::state::State;

pub(crate) use node::{Node, accept};
pub use respond::NodeMode;

/// The parts that all nodes share.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    started: Instant,
}

impl Shared {
    pub(crate) fn new(state: State) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            started: Instant::now(),
        })
    }

    /// Locks the state. A test that panicked under the lock has failed already, so a poisoned lock is ignored.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
