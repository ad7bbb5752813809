//! The worker of Lockstep: takes messages from lanes, decides their effects, commits them, and publishes the results.
//!
//! - [`runtime`] moves messages: take, commit, publish, acknowledge, retry, drain.
//! - [`handlers`] decide the effects of a message, given the facts for its keys, without any input or output.
//! - [`groups`] matches the rules of groups with hostnames.
//! - [`repositories`] updates the sync flags to the tip of a repository: fetches, examines, commits.
//! - [`rendering`] renders intended configurations from commits of the repositories.
//! - [`executions`] run tasks on the elements of executions, on all workers.
//! - [`sync`] writes what runs of syncs found out about flags.
//! - [`sources`] polls the change logs of NetBox and Nautobot.
//! - [`fleet_samples`] records how many devices are synchronized over time.
//! - [`reconcile`] publishes lost messages again; [`retention`] deletes expired records.
//!
//! It builds on crates that do not depend on lanes and handlers: `lockstep-store` (inbox, fleet, leases,
//! dead letters), `lockstep-intent` (settings, templates, device selection), `lockstep-git`.

pub mod executions;
pub mod fail_point;
pub mod fleet_samples;
pub mod groups;
pub mod handlers;
pub mod reconcile;
pub mod rendering;
pub mod repositories;
pub mod retention;
pub mod runtime;
pub mod sources;
pub mod sync;
