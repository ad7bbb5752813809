#![doc = include_str!("../README.md")]

#[cfg(feature = "amqp")]
pub mod amqp;
mod consumer;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
mod figures;
mod message;
#[cfg(feature = "amqp")]
mod nack_policy;

use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, Topology};

pub use consumer::{Acknowledge, Batch, ConsumeOptions, Consumer, Receipt, Settle};
pub use error::{BusError, PublishError};
pub use figures::{Channels, Figures};
pub use message::{Delivery, Headers, Outgoing, Properties};

/// Publishes and consumes messages. Cheap to share as `Arc<dyn Bus>`.
#[async_trait]
pub trait Bus: Debug + Send + Sync + 'static {
    /// Publishes the messages in their order, many in flight at once, and returns when each one is confirmed.
    ///
    /// Waits as long as the broker is away: bound it with a time-out where somebody waits for the answer. Dropping the
    /// future leaves the outcome unknown; publishing the same messages again is always right.
    ///
    /// # Errors
    /// Only what waiting does not heal: see [`PublishError`]. Messages before the one named may have been published.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError>;

    /// Starts to consume a queue. A reply queue is declared and bound first.
    ///
    /// # Errors
    /// When the queue cannot be consumed for a reason that reconnecting does not heal.
    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError>;

    /// Declares all objects. Doing it twice is harmless.
    ///
    /// # Errors
    /// When an object exists with other arguments, or the user may not declare it.
    async fn declare(&self, topology: &Topology) -> Result<(), BusError>;

    /// The queues of these that are not there any more. A bus that cannot lose one has none to tell.
    ///
    /// # Errors
    /// When the broker does not say, for a reason that reconnecting does not heal.
    async fn missing(&self, _topology: &Topology) -> Result<Vec<String>, BusError> {
        Ok(Vec::new())
    }

    /// How the bus is doing, without asking the broker.
    fn status(&self) -> BusStatus;

    /// How the bus is doing in numbers, without asking the broker.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// The name by which the broker authenticates what this bus publishes: the `user_id` of its messages.
    fn user(&self) -> &str;

    /// Closes all connections in order. Consumers end; publishing afterwards is an error.
    async fn close(&self);
}

/// How a bus is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusStatus {
    /// Publishing works as far as is known.
    Connected,
    /// The broker holds back publishers because of an alarm (memory or disk).
    Blocked,
    /// There is no connection; it is being rebuilt.
    Disconnected,
    /// The bus was closed.
    Closed,
}
