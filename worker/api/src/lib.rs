//! HTTP of the console, and the health of every process.
//!
//! - [`console`]: the routes, limits and state of the console.
//! - `rest`: `/v1/…`, one file a resource. It maps domain types of the store to the REST shapes of `lockstep-protocol`.
//! - [`health`]: liveness, readiness and metrics of console and workers.
//!
//! The crate reads the store and publishes by the bus. It knows neither SQL nor lapin, and nothing of lanes and handlers.

pub mod console;
#[cfg(test)]
mod fakes;
pub mod health;
mod probes;
mod rest;

pub use console::{Console, ConsoleContext, ConsoleLimits};
