//! The worker of Lockstep: takes messages from lanes, decides what they mean for the fleet, commits that, and answers.
//!
//! - [`runtime`] moves messages: take, commit, publish, acknowledge, retry, drain.
//! - [`handlers`] decide: a message and the facts it asked for become effects, without any input or output.
//! - [`store`] keeps: the inbox, the fleet and their causes, on PostgreSQL or SQLite.
//! - [`cvp`] looks after the tasks of CloudVision, and knows nothing of messages.
//! - [`console`] shows: the HTTP API, which reads the store and publishes by the bus.

pub mod clock;
pub mod console;
pub mod cvp;
pub mod fail_point;
pub mod handlers;
pub mod runtime;
pub mod store;
