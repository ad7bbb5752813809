//! The worker of Lockstep: takes messages from lanes, decides what they mean for the fleet, commits that, and answers.
//!
//! - [`runtime`] moves messages: take, commit, publish, acknowledge, retry, drain.
//! - [`handlers`] decide: a message and the facts it asked for become effects, without any input or output.
//! - [`fleet`] knows who is concerned: primary groups, and the devices that a change of the intended configuration affects.
//! - [`intent`] reads the intended configuration: the tree of a commit, settings, templates; what changed, and what is wrong.
//! - [`store`] keeps: the inbox, the fleet and their causes, on PostgreSQL or SQLite.
//! - [`git`] fetches repositories and reads commits, by the command.
//! - [`repositories`] brings the flags up to the tip of a repository: fetches, judges, commits.
//! - [`reconcile`] brings back what was lost on the way, now and then; [`retention`] deletes what is kept long enough.
//! - [`health`] tells operators whether a worker can work, and how it is doing.
//! - [`cvp`] looks after the tasks of CloudVision, and knows nothing of messages.
//! - [`console`] shows: the HTTP API, which reads the store and publishes by the bus.

pub mod clock;
pub mod console;
pub mod cvp;
pub mod fail_point;
pub mod fleet;
pub mod git;
pub mod handlers;
pub mod health;
pub mod intent;
pub mod reconcile;
pub mod repositories;
pub mod retention;
pub mod runtime;
pub mod store;
