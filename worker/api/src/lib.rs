//! Serves the console's HTTP API, and the health endpoints of every process.
//!
//! - [`console`]: the routes, limits and state of the console.
//! - `rest`: `/v1/…`, one file for each resource. It maps domain types of the store to the shapes of
//!   [`lockstep_protocol::rest`].
//! - [`health`]: liveness, readiness and metrics of console and workers.
//!
//! The crate reads the store and publishes through the bus. It depends on neither SQL nor lapin, lanes or handlers.

pub mod console;
#[cfg(test)]
mod fakes;
pub mod health;
mod probes;
mod rest;

pub use console::{Console, ConsoleContext, ConsoleLimits};
