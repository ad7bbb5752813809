#![doc = include_str!("../README.md")]

#[cfg(feature = "amqp")]
pub mod amqp;
mod consumer;
#[cfg(feature = "embedded")]
pub mod embedded;
mod error;
#[cfg(feature = "fake")]
pub mod fake;
mod figures;
mod message;
#[cfg(feature = "amqp")]
mod nack_policy;

use std::fmt::Debug;

use async_trait::async_trait;
use lockstep_protocol::topology::{Queue, Topology};

pub use consumer::{Acknowledge, Batch, ConsumeOptions, Consumer, Receipt, Settle};
pub use error::{BusError, PublishError};
pub use figures::{Channels, Figures, QueueFigures};
pub use message::{Delivery, Headers, Outgoing, Properties};

/// Publishes and consumes messages. Cheap to share as `Arc<dyn Bus>`.
#[async_trait]
pub trait Bus: Debug + Send + Sync + 'static {
    /// Publishes the messages in their order, pipelined, and returns when the broker has confirmed each one.
    ///
    /// Waits without limit while the broker is unavailable; use a timeout where a caller waits. Dropping the future leaves
    /// the outcome unknown; publishing the same messages again is always safe.
    ///
    /// # Errors
    /// Errors that waiting does not fix, see [`PublishError`]. Some of the messages may have been published.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError>;

    /// Starts to consume a queue. A reply queue is declared and bound first.
    ///
    /// # Errors
    /// When the queue cannot be consumed for a reason that reconnecting does not fix.
    async fn consume(&self, queue: Queue, options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError>;

    /// Declares all objects of the topology. Idempotent.
    ///
    /// # Errors
    /// When an object exists with other arguments, or the user may not declare it.
    async fn declare(&self, topology: &Topology) -> Result<(), BusError>;

    /// The queues of the topology that do not exist, such as because somebody deleted them.
    ///
    /// # Errors
    /// When the broker refuses the check for a reason that reconnecting does not fix.
    async fn missing(&self, topology: &Topology) -> Result<Vec<String>, BusError> {
        let names: Vec<&str> = topology.queues.iter().map(|queue| queue.name).collect();
        let found = self.queues(&names).await?;
        let missing = names.iter().zip(found).filter(|(_, found)| found.is_none());
        Ok(missing.map(|(name, _)| (*name).to_owned()).collect())
    }

    /// How many messages wait in each of these queues, and how many consumers it has; `None` for a queue that does not exist.
    /// Waits without limit while the broker is unavailable.
    ///
    /// # Errors
    /// As [`Self::missing`].
    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError>;

    /// The state of the bus as far as this process knows; does not ask the broker.
    fn status(&self) -> BusStatus;

    /// Statistics of the bus in this process; does not ask the broker.
    fn figures(&self) -> Figures {
        Figures::default()
    }

    /// The user that the broker authenticated: the `user_id` of the messages this bus publishes.
    fn user(&self) -> &str;

    /// Closes all connections. Consumers end; publishing afterwards fails.
    async fn close(&self);
}

/// The state of a bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusStatus {
    /// Messages can be published, as far as is known.
    Connected,
    /// The broker blocks publishers because of a memory or disk alarm.
    Blocked,
    /// There is no connection; the bus reconnects.
    Disconnected,
    /// The bus was closed.
    Closed,
}
