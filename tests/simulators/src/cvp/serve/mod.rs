//! Nodes: listeners with TLS, and what happens to a request between its arrival and its answer.

mod certificates;
mod node;
mod respond;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::state::State;

pub(crate) use certificates::Certificates;
pub(crate) use node::{Node, accept};
pub use respond::NodeMode;

/// What all nodes share.
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

    /// The state. An edit of a test that panicked under the lock is that test's failure, and no reason for others.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
