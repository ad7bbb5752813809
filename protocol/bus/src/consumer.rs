use std::fmt;

use async_trait::async_trait;

use crate::Delivery;

/// Options of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// The most unacknowledged deliveries; at least 1.
    pub prefetch: u16,
    /// How acknowledgements are sent to the broker.
    pub acknowledge: Acknowledge,
}

/// How acknowledgements are sent to the broker. The guarantees are the same for both: batches may be acknowledged in any
/// order, and an acknowledged message is not delivered again unless the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// One frame for many deliveries, sent when all earlier ones are acknowledged, too. The cheapest way, for lanes whose
    /// batches take about equally long: a slow batch delays the acknowledgement of those after it, and the prefetch limit
    /// then stops new deliveries.
    InOrder,
    /// One frame for each delivery, sent at once. For lanes whose runs differ in duration.
    Each,
}

/// Receives the deliveries of one queue.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a delivery, and returns it with those that have arrived as well, at most `max` together. It never waits for more:
    /// whoever is busy meanwhile gets larger batches. Never returns an empty batch; waits without limit while the broker is
    /// unavailable. `None` means that the bus was closed.
    ///
    /// Cancel safe: when the future is dropped, the next call returns what it had received, or the broker delivers it again.
    async fn take(&mut self, max: usize) -> Option<Batch>;

    /// Stops consuming. The broker requeues all unacknowledged deliveries.
    async fn close(self: Box<Self>);
}

/// Deliveries that are received and acknowledged together.
#[derive(Debug)]
pub struct Batch {
    /// The deliveries, in the order of the queue; at least one.
    pub deliveries: Vec<Delivery>,
    /// Acknowledges them.
    pub receipt: Receipt,
}

/// Acknowledges a batch, once. Dropping it acknowledges nothing: the broker delivers the messages again after the consumer
/// is closed or the connection is lost.
pub struct Receipt(Box<dyn Settle>);

/// How an implementation acknowledges a batch.
#[async_trait]
pub trait Settle: Send {
    /// Acknowledges all deliveries of the batch. Does nothing if the broker has requeued them already. Batches may be
    /// acknowledged in any order.
    async fn ack(self: Box<Self>);
}

impl Receipt {
    /// Makes a receipt from a bus implementation's acknowledgement.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Box::new(settle))
    }

    /// Acknowledges the whole batch. Call it only after the effects of the batch are committed and all follow-up messages
    /// are confirmed.
    pub async fn ack(self) {
        self.0.ack().await;
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
