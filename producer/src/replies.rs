//! The reply queue of a producer, and who waits for what on it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions, Consumer};
use lockstep_protocol::topology::{Queue, ReplyQueue};
use lockstep_protocol::{Envelope, MessageId};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::ProducerError;

/// The most results in hand at a time.
const PREFETCH: u16 = 500;

type Waiters = Arc<Mutex<HashMap<String, oneshot::Sender<Envelope>>>>;

/// Reads one reply queue, whose name nobody can guess, for as long as the producer lives.
#[derive(Debug)]
pub(crate) struct Replies {
    queue: ReplyQueue,
    waiters: Waiters,
    reading: tokio::task::AbortHandle,
}

/// Somebody who waits for the answer to one message.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: String,
    answer: oneshot::Receiver<Envelope>,
    waiters: Waiters,
}

impl Replies {
    /// Declares the queue and begins to read it.
    pub(crate) async fn start(bus: Arc<dyn Bus>) -> Result<Self, ProducerError> {
        let queue = ReplyQueue::of(bus.user(), &Uuid::now_v7().simple().to_string());
        let queue = queue.map_err(|error| {
            ProducerError::Replies(BusError::Address {
                reason: error.to_string(),
            })
        })?;
        let options = ConsumeOptions {
            prefetch: PREFETCH,
            acknowledge: Acknowledge::InOrder,
        };
        let consumer = bus
            .consume(Queue::Reply(queue.clone()), options)
            .await
            .map_err(ProducerError::Replies)?;
        let waiters = Waiters::default();
        let reading = tokio::spawn(read(consumer, waiters.clone())).abort_handle();
        Ok(Self {
            queue,
            waiters,
            reading,
        })
    }

    /// The queue to name as `reply_to`.
    pub(crate) fn queue(&self) -> &ReplyQueue {
        &self.queue
    }

    /// Begins to wait for the answer to a message; to be called before it is published.
    pub(crate) fn expect(&self, id: &MessageId) -> Waiter {
        let (sender, answer) = oneshot::channel();
        let id = id.to_string();
        self.waiters
            .lock()
            .expect("nobody panics holding it")
            .insert(id.clone(), sender);
        Waiter {
            id,
            answer,
            waiters: self.waiters.clone(),
        }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.reading.abort();
    }
}

impl Waiter {
    /// The answer.
    pub(crate) async fn answer(mut self) -> Result<Envelope, ProducerError> {
        (&mut self.answer).await.map_err(|_| ProducerError::Closed)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters
            .lock()
            .expect("nobody panics holding it")
            .remove(&self.id);
    }
}

/// An answer that nobody waits for is an answer that came twice, or too late: it is dropped, the worker's store has it.
async fn read(mut consumer: Box<dyn Consumer>, waiters: Waiters) {
    while let Some(batch) = consumer.take(usize::from(PREFETCH), Duration::ZERO).await {
        for delivery in batch.deliveries {
            let Ok(decoded) = Envelope::decode(&delivery.body) else {
                tracing::warn!(message.id = ?delivery.properties.message_id, "result cannot be read");
                continue;
            };
            let answers = delivery.properties.correlation_id.unwrap_or_default();
            let waiter = waiters.lock().expect("nobody panics holding it").remove(&answers);
            if let Some(waiter) = waiter {
                let _ = waiter.send(decoded.envelope);
            }
        }
        batch.receipt.ack().await;
    }
}
