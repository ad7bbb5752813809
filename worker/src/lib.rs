//! The worker of Lockstep: takes messages from lanes, decides what they do, commits that, and answers.
//!
//! - [`runtime`] moves messages: take, commit, publish, acknowledge, retry, drain.
//! - [`handlers`] decide: a message and the facts it asked for become effects, without any input or output.
//! - [`repositories`] brings the flags up to the tip of a repository: fetches, judges, commits.
//! - [`reconcile`] publishes again what was lost on the way; [`retention`] deletes what was kept long enough.
//!
//! What it builds on are crates of their own, which know nothing of lanes and handlers: `lockstep-store` (inbox, fleet,
//! leases, dead letters), `lockstep-intent` (settings, templates, device selection), `lockstep-git`.

pub mod fail_point;
pub mod handlers;
pub mod reconcile;
pub mod repositories;
pub mod retention;
pub mod runtime;
