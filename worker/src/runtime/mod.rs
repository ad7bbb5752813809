//! Moves messages: take, commit, publish, acknowledge, retry, drain.
//!
//! The life of a delivery, whose order is what makes a crash between any two steps harmless:
//!
//! 1. [`intake`]: decode it; who is it, who sent it, which attempt is this?
//! 2. [`decide`]: was it worked before? If not, what does it do? A pure function from received messages and facts to
//!    one [`Settlement`] each.
//! 3. [`batch`]: do that for a whole batch in one transaction, together with the inbox rows.
//!    [`run`] instead of it where work takes time and goes outside: side by side, in [`coalescing`], each of which commits
//!    what it did by itself.
//! 4. [`answer`], [`dead`], [`retry`]: what is to be published for each settlement.
//! 5. [`lane`]: publish all of it, confirmed; then, and only then, acknowledge.

mod actor;
mod answer;
mod backoff;
mod batch;
mod coalescing;
mod dead;
mod dead_letter_consumer;
mod decide;
mod delivery_metrics;
mod headers;
mod intake;
mod lane;
mod lease;
mod periodic_task;
mod poison;
mod requeue;
mod retry;
mod run;
mod runner;
mod settlement;
mod worker;

pub use actor::TrustedUsers;
pub(crate) use lane::chain;
pub use lease::HeldLease;
#[cfg(test)]
pub(crate) use periodic_task::tests as periodic_task_tests;
pub use periodic_task::{Leadership, PeriodicTask, PeriodicTaskRunner};
pub(crate) use requeue::copy as requeued;
pub use runner::{Attempt, RunEnd, Runner};
pub use settlement::Settlement;
pub use worker::{WorkerContext, WorkerError, WorkerOptions, run};
