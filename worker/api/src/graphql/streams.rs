use std::sync::Arc;

use lockstep_http::ProblemResponse;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::progress::ExecutionWatches;

/// The most connections by WebSocket at once whose client has not sent a token yet.
const UNAUTHENTICATED: usize = 64;

/// What is open for subscriptions: connections, event streams, and the executions that are read for them.
#[derive(Debug)]
pub(crate) struct Streams {
    places: Arc<Semaphore>,
    unauthenticated: Arc<Semaphore>,
    pub(crate) watches: ExecutionWatches,
    pub(super) tasks: TaskTracker,
}

impl Streams {
    /// At most `most` connections and event streams. `tasks` tracks the tasks that serve them, which end when the console stops.
    pub(crate) fn new(most: usize, tasks: TaskTracker) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            unauthenticated: Arc::new(Semaphore::new(UNAUTHENTICATED)),
            watches: ExecutionWatches::default(),
            tasks,
        }
    }

    /// A place for a connection or an event stream of a client with a token.
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, ProblemResponse> {
        take(&self.places)
    }

    /// A place for a WebSocket whose client sends its token in the first message.
    pub(super) fn unauthenticated(&self) -> Result<OwnedSemaphorePermit, ProblemResponse> {
        take(&self.unauthenticated)
    }
}

fn take(places: &Arc<Semaphore>) -> Result<OwnedSemaphorePermit, ProblemResponse> {
    let place = Arc::clone(places).try_acquire_owned();
    place.map_err(|_| ProblemResponse::busy())
}
