use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::Delivery;

/// How a queue is consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConsumeOptions {
    /// How many deliveries may be unacknowledged at a time, at least 1.
    pub prefetch: u16,
    /// How acknowledgements reach the broker.
    pub acknowledge: Acknowledge,
}

/// How acknowledgements reach the broker. What a caller may rely on is the same either way: batches may be acknowledged
/// in any order, and what was acknowledged does not come again unless the connection is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledge {
    /// One frame for many deliveries, as soon as all before them are acknowledged too. The cheapest, for lanes that work
    /// in batches of like duration: a batch that takes long holds back those after it, and with them the prefetch.
    InOrder,
    /// One frame for each delivery, at once. For lanes whose runs differ in length.
    Each,
}

/// Takes deliveries of one queue.
#[async_trait]
pub trait Consumer: Send {
    /// Waits for a delivery, then takes what else is there until the batch has `max` deliveries or `linger` is over.
    /// Never returns an empty batch; waits as long as the broker is away. `None` means that the bus was closed.
    ///
    /// Cancel safe: when the future is dropped, nothing is lost, and what it had taken comes with the next call or is
    /// delivered again.
    async fn take(&mut self, max: usize, linger: Duration) -> Option<Batch>;

    /// Stops. Everything taken and not acknowledged goes back to the queue.
    async fn close(self: Box<Self>);
}

/// Deliveries taken together, settled together.
#[derive(Debug)]
pub struct Batch {
    /// The deliveries, in the order of the queue; at least one.
    pub deliveries: Vec<Delivery>,
    /// What settles them.
    pub receipt: Receipt,
}

/// The right to settle a batch, once. Dropping it settles nothing: the deliveries come again after the consumer closed
/// or the connection was lost.
pub struct Receipt(Box<dyn Settle>);

/// How an implementation acknowledges a batch.
#[async_trait]
pub trait Settle: Send {
    /// Acknowledges all deliveries of the batch. Whether the broker still knows them makes no difference to the caller.
    /// Batches may be acknowledged in any order.
    async fn ack(self: Box<Self>);
}

impl Receipt {
    /// Wraps what an implementation does to acknowledge.
    pub fn new(settle: impl Settle + 'static) -> Self {
        Self(Box::new(settle))
    }

    /// Acknowledges the whole batch. To be called only after its effects are committed, and everything it caused is
    /// confirmed.
    pub async fn ack(self) {
        self.0.ack().await;
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receipt")
    }
}
