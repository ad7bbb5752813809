//! Moves messages: take, commit, publish, acknowledge, retry, drain. It does not depend on the meaning of messages.
//!
//! The life of a delivery, whose order makes a crash between any two steps harmless:
//!
//! 1. [`intake`]: decode it; find out its identity, its sender and which attempt this is. [`authority`] decides whether the
//!    sender may publish it, [`poison`] counts attempts that crash.
//! 2. [`decide`]: was it processed before? If not, what does it do? A pure function from received messages and facts to one
//!    [`Settlement`] each.
//! 3. [`batch`] does that for a whole batch in one transaction, together with the completions, while [`next_batch`] decodes what has
//!    arrived. [`run`] takes its place where
//!    processing takes time and goes outside: side by side, in coalesced batches ([`coalescing`]), each of which commits by
//!    itself under its [`lease`]s ([`leased_run`]) through a [`run_context`]. [`claim_lane`] acknowledges a message as soon as a
//!    row in the store says who does its work.
//! 4. [`answer`], [`retry`]: what is published for each settlement. [`follow_up`]: messages that a message caused.
//! 5. [`lane`]: publish all of it, confirmed; then, and only then, acknowledge. [`too_large`]: what the broker refuses for its
//!    size.
//!
//! [`recent_duplicates`] decides whether a batch reads which of its messages were processed before.
//! [`audited`] says what the audit keeps about commands. [`processing_error`] decides what a failure means, [`refusal`] which rejections leave a dead letter. [`consuming`] gives messages
//! back while the store does not answer this worker. [`dead_letter_consumer`] reads what the broker dead-lettered.
//! [`periodic_task`] runs what one process of all does now and then.

mod actor;
mod answer;
mod audited;
mod authority;
mod backoff;
mod batch;
mod claim_lane;
mod claimant;
mod coalescing;
mod consuming;
mod dead;
mod dead_letter_consumer;
mod decide;
mod delivery_metrics;
mod error_chain;
mod follow_up;
pub(crate) mod headers;
mod intake;
mod lane;
mod lease;
mod leased_run;
mod next_batch;
mod periodic_task;
mod poison;
mod processing_error;
mod recent_duplicates;
mod refusal;
mod retry;
mod run;
mod run_context;
mod run_lane_options;
mod runner;
mod settlement;
mod store_reach;
mod too_large;
mod transaction_retry;
mod worker;

pub use actor::TrustedUsers;
pub use claimant::Claimant;
pub(crate) use error_chain::chain;
pub use follow_up::REPUBLISH_AFTER;
pub(crate) use follow_up::{PAGE, outgoing};
pub use lease::HeldLeases;
#[cfg(test)]
pub(crate) use periodic_task::tests as periodic_task_tests;
pub use periodic_task::{Leadership, PeriodicTask, PeriodicTaskRunner};
pub use processing_error::ProcessingError;
pub use run_context::{Progress, RunContext, RunTransaction};
pub use run_lane_options::RunLaneOptions;
pub use runner::{Attempt, RunEnd, Runner};
pub use settlement::Settlement;
pub(crate) use too_large::end_follow_up;
pub(crate) use transaction_retry::TransactionRetry;
pub use worker::{WorkerContext, WorkerError, WorkerOptions, run};
