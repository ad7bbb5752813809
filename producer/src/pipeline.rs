//! Combines the messages of many callers to batches. Each caller waits for the confirm of its own message only.

use std::sync::Arc;

use lockstep_bus::{Bus, Outgoing, PublishError};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use crate::ProducerError;

/// The most messages published together.
const BATCH: usize = 256;
/// The most batches in flight, so that one can be written while others wait for their confirms.
const BATCHES: usize = 4;

type PublishResult = Result<(), Arc<PublishError>>;

/// A message, and where to report its confirm.
struct Waiting {
    outgoing: Outgoing,
    confirmed: oneshot::Sender<PublishResult>,
}

/// Publishes messages in batches.
#[derive(Debug)]
pub(crate) struct Pipeline {
    /// Messages from callers to the batching task. Callers wait while it is full. `None` after [`Self::drain`].
    waiting: std::sync::Mutex<Option<mpsc::Sender<Waiting>>>,
    tasks: TaskTracker,
}

impl Pipeline {
    /// Starts the batching task.
    pub(crate) fn start(bus: Arc<dyn Bus>, in_flight: usize) -> Self {
        let (sender, receiver) = mpsc::channel(in_flight.max(1));
        let tasks = TaskTracker::new();
        tasks.spawn(batch(bus, receiver, tasks.clone()));
        tasks.close();
        Self {
            waiting: std::sync::Mutex::new(Some(sender)),
            tasks,
        }
    }

    /// Publishes a message and waits for its confirm.
    pub(crate) async fn publish(&self, outgoing: Outgoing) -> Result<(), ProducerError> {
        let sender = self.waiting.lock().expect("no holder of the lock panics").clone();
        let (confirmed, outcome) = oneshot::channel();
        let Some(sender) = sender else {
            return Err(ProducerError::Closed);
        };
        sender
            .send(Waiting { outgoing, confirmed })
            .await
            .map_err(|_| ProducerError::Closed)?;
        let outcome = outcome.await.map_err(|_| ProducerError::Closed)?;
        outcome.map_err(|error| match *error {
            PublishError::Closed => ProducerError::Closed,
            PublishError::Denied { .. } | PublishError::TooLarge { .. } | PublishError::Full { .. } => {
                ProducerError::Publish(error)
            }
        })
    }

    /// Accepts no further messages, and waits until the accepted ones are confirmed.
    pub(crate) async fn drain(&self) {
        self.waiting.lock().expect("no holder of the lock panics").take();
        self.tasks.wait().await;
    }
}

async fn batch(bus: Arc<dyn Bus>, mut waiting: mpsc::Receiver<Waiting>, tasks: TaskTracker) {
    let permits = Arc::new(tokio::sync::Semaphore::new(BATCHES));
    let mut taken = Vec::with_capacity(BATCH);
    loop {
        let permit = permits
            .clone()
            .acquire_owned()
            .await
            .expect("the semaphore is never closed");
        if waiting.recv_many(&mut taken, BATCH).await == 0 {
            break;
        }
        let bus = bus.clone();
        let together = std::mem::take(&mut taken);
        tasks.spawn(async move {
            publish(&*bus, together).await;
            drop(permit);
        });
    }
}

/// Publishes a batch. If that fails, publishes its messages one by one, so that each caller gets its own error.
async fn publish(bus: &dyn Bus, batch: Vec<Waiting>) {
    // Messages whose callers stopped waiting are not published.
    let batch: Vec<Waiting> = batch
        .into_iter()
        .filter(|message| !message.confirmed.is_closed())
        .collect();
    let outgoing = batch.iter().map(|message| message.outgoing.clone()).collect();
    let together = bus.publish(outgoing).await;
    let alone = batch.len() == 1;
    for message in batch {
        let outcome = match &together {
            Ok(()) => Ok(()),
            Err(PublishError::Closed) => Err(Arc::new(PublishError::Closed)),
            Err(_) if !alone => bus.publish(vec![message.outgoing]).await.map_err(Arc::new),
            Err(error) => Err(Arc::new(same(error))),
        };
        // Fails if the caller stopped waiting.
        let _ = message.confirmed.send(outcome);
    }
}

fn same(error: &PublishError) -> PublishError {
    match error {
        PublishError::Denied {
            exchange,
            routing_key,
            reason,
        } => PublishError::Denied {
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            reason: reason.clone(),
        },
        PublishError::TooLarge {
            size,
            exchange,
            routing_key,
            reason,
        } => PublishError::TooLarge {
            size: *size,
            exchange: exchange.clone(),
            routing_key: routing_key.clone(),
            reason: reason.clone(),
        },
        PublishError::Full { exchange, count } => PublishError::Full {
            exchange: exchange.clone(),
            count: *count,
        },
        PublishError::Closed => PublishError::Closed,
    }
}
