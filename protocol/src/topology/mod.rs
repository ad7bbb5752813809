//! The broker's objects as plain data: exchanges, queues, bindings, and where a message goes.
//!
//! What must hold without any set-up is an argument, alike on RabbitMQ 3.10 and 4.x (`reference/rabbitmq.md` §3.3).
//! What an operator tunes, such as the lengths of inlet lanes, is a policy of the broker set-up and not here.

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

/// Where anyone with permission publishes events and commands.
pub const EVENTS: &str = "lockstep.events";
/// Internal follow-up work and retries; the routing key is the lane.
pub const WORK: &str = "lockstep.work";
/// What cannot be done.
pub const DEAD: &str = "lockstep.dead";
/// Answers to those who asked for them; the routing key is the `reply_to`.
pub const REPLIES: &str = "lockstep.replies";
/// Answers that named no reply queue, or one that is gone.
pub const RESULTS: &str = "lockstep.results";
/// What no binding wanted.
pub const UNROUTED: &str = "lockstep.unrouted";
/// How every reply queue's name begins; the user's name and a random part follow.
pub const REPLY_PREFIX: &str = "lockstep.reply.";

/// The last resort of the broker against a message that is never settled. Poison is found by the store, much earlier:
/// every prefetched message pays for each lost connection, so this must be out of reach of bad luck.
pub const DELIVERY_LIMIT: i64 = 1000;
/// The most results kept for nobody in particular; beyond that the oldest go. The store keeps every outcome anyway.
pub const RESULTS_MAX_LENGTH: i64 = 100_000;
/// How long such a result is kept.
pub const RESULTS_TTL: Duration = Duration::from_hours(24);
/// How long a reply queue outlives its last reader.
pub const REPLY_EXPIRES: Duration = Duration::from_hours(1);
