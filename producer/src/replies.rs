//! Consumes the reply queue of a producer, and assigns results to waiting callers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions, Consumer};
use lockstep_protocol::topology::{Queue, ReplyQueue};
use lockstep_protocol::{Envelope, MessageId};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::ProducerError;

/// The most results in flight.
const PREFETCH: u16 = 500;

type Waiters = Arc<Mutex<HashMap<String, oneshot::Sender<Envelope>>>>;

/// Consumes one reply queue until dropped. The name of the queue cannot be guessed.
#[derive(Debug)]
pub(crate) struct Replies {
    queue: ReplyQueue,
    waiters: Waiters,
    reading: tokio::task::AbortHandle,
}

/// Waits for the result of one message.
#[derive(Debug)]
pub(crate) struct Waiter {
    id: String,
    result: oneshot::Receiver<Envelope>,
    waiters: Waiters,
}

impl Replies {
    /// Declares the queue and starts to consume it.
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

    /// The queue to set as `reply_to`.
    pub(crate) fn queue(&self) -> &ReplyQueue {
        &self.queue
    }

    /// Registers for the result of a message. Call it before the message is published.
    pub(crate) fn expect(&self, id: &MessageId) -> Waiter {
        let (sender, result) = oneshot::channel();
        let id = id.to_string();
        self.waiters
            .lock()
            .expect("no holder of the lock panics")
            .insert(id.clone(), sender);
        Waiter {
            id,
            result,
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
    /// Waits for the result.
    pub(crate) async fn result(mut self) -> Result<Envelope, ProducerError> {
        (&mut self.result).await.map_err(|_| ProducerError::Closed)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters
            .lock()
            .expect("no holder of the lock panics")
            .remove(&self.id);
    }
}

/// Passes results to their waiters. A result without a waiter arrived twice or too late, and is dropped; the store keeps every
/// outcome.
async fn read(mut consumer: Box<dyn Consumer>, waiters: Waiters) {
    while let Some(batch) = consumer.take(usize::from(PREFETCH)).await {
        for delivery in batch.deliveries {
            let Ok(decoded) = Envelope::decode(&delivery.body) else {
                let id = delivery.properties.message_id.unwrap_or_default();
                tracing::warn!(message.id = %id, "cannot decode a result");
                continue;
            };
            let request = delivery.properties.correlation_id.unwrap_or_default();
            let waiter = waiters
                .lock()
                .expect("no holder of the lock panics")
                .remove(request.as_str());
            if let Some(waiter) = waiter {
                let _ = waiter.send(decoded.envelope);
            }
        }
        batch.receipt.ack().await;
    }
}
