//! The broker's objects as plain data: exchanges, queues, bindings, and destinations of messages.
//!
//! Properties that correctness depends on are queue arguments, which work the same on RabbitMQ 3.10 and 4.x (see
//! `docs/reference/rabbitmq.md`). Properties that operators tune, such as the maximum length of ingress lanes, are policies (see
//! [`access`]).

pub mod access;
mod declaration;
mod destination;
mod lane;
mod reply_queue;
mod retry_delay;

use std::time::Duration;

pub use declaration::{Argument, Binding, ExchangeDeclaration, ExchangeKind, QueueDeclaration, Topology};
pub use destination::{Destination, Queue};
pub use lane::Lane;
pub use reply_queue::{ReplyQueue, ReplyQueueError};
pub use retry_delay::RetryDelay;

/// The exchange to which clients publish events and commands; the routing key is the message type.
pub const EVENTS: &str = "lockstep.events";
/// The exchange of follow-up work and retries; the routing key is the lane.
pub const WORK: &str = "lockstep.work";
/// The exchange and queue of messages that the broker dead-lettered.
pub const DEAD: &str = "lockstep.dead";
/// The exchange of replies; the routing key is the `reply_to` of the request.
pub const REPLIES: &str = "lockstep.replies";
/// The exchange and queue of results without a reply queue, or whose reply queue does not exist.
pub const RESULTS: &str = "lockstep.results";
/// The exchange and queue of messages that no binding matched.
pub const UNROUTED: &str = "lockstep.unrouted";
/// The prefix of every reply queue's name; the user's name and a random part follow.
pub const REPLY_PREFIX: &str = "lockstep.reply.";

/// After this many failed deliveries the broker dead-letters a message. The workers' poison message detection acts much
/// earlier. The limit is high because every lost connection counts one delivery of each prefetched message, processed or
/// not.
pub const DELIVERY_LIMIT: i64 = 1000;
/// The most results in [`RESULTS`]; the broker drops the oldest beyond that. The store keeps every outcome.
pub const RESULTS_MAX_LENGTH: i64 = 100_000;
/// How long a result stays in [`RESULTS`].
pub const RESULTS_TTL: Duration = Duration::from_hours(24);
/// How long a reply queue exists without a consumer.
pub const REPLY_EXPIRES: Duration = Duration::from_hours(1);
