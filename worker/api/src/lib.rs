//! Serves the console's HTTP API, and the health endpoints of every process.
//!
//! - [`console`]: the routes, limits and state of the console.
//! - `access`: stored tokens, sessions of browsers, and what the audit says about requests.
//! - `rest`: `/v1/…`, one file for each resource. It maps domain types of the store to the shapes of
//!   [`lockstep_protocol::rest`].
//! - [`graphql`]: `/graphql`, one file for each object.
//! - `web`: the pages for browsers, one file each.
//! - [`openapi`]: the OpenAPI document of all of it.
//! - [`Providers`]: what the console must know of providers, which it does not run.
//! - [`SyncRules`]: what the console must know of sync runs, which it does not do.
//! - [`health`]: liveness, readiness and metrics of console and workers.
//!
//! The crate reads the store, writes who may use the console and what they did, and publishes through the bus. It depends on neither SQL nor lapin, lanes or handlers.

mod access;
pub mod console;
mod context;
mod explanation;
#[cfg(test)]
mod fake_access;
#[cfg(test)]
mod fake_entities;
#[cfg(test)]
mod fakes;
pub mod graphql;
pub mod health;
pub mod openapi;
mod outcome;
mod probes;
mod providers;
mod rest;
mod sync_rules;
mod web;

pub use access::{
    AccessOptions, Algorithm, OidcOptions, ProviderAnswer, ProviderCheckError, ProviderForm, ProviderHttp,
    ProviderHttpError, RoleMapping, UnknownAlgorithm, check_identity_provider,
};
pub use console::Console;
pub use context::{ConsoleContext, ConsoleLimits};
pub use providers::Providers;
pub use sync_rules::SyncRules;
