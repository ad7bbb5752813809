//! Repairs lost messages and deleted broker objects. The database is authoritative; messages only trigger work sooner.
//!
//! A pass looks for what is overdue in the store or missing in the broker, and repairs it. One process of all runs the passes
//! ([`PeriodicTaskRunner`](crate::runtime::PeriodicTaskRunner)). Everything it publishes has the identity it had before, so
//! a message that is processed twice finds its inbox row. A deleted queue or a reinstalled broker only delays.
//!
//! - [`OverdueFollowUps`]: follow-ups that are due, or whose message was published and not processed for long.
//! - [`make_lost_due`]: follow-ups that were published to a broker which has lost them, when a worker starts.
//! - [`BrokerObjects`]: exchanges, queues and bindings, where this process may declare them.
//!
//! [`crate::repositories::watch`] is not part of it, because it needs the clones, waits for git, and has a lease for each
//! repository.

#[cfg(test)]
mod fakes;
mod follow_ups;
mod lost;
mod objects;
mod pass;
mod repair;

pub use follow_ups::OverdueFollowUps;
pub use lost::make_lost_due;
pub use objects::BrokerObjects;
pub use pass::{Pass, Reconcile};
pub use repair::{Page, Repair, RepairError};

/// Counts repairs, and logs them.
pub(crate) fn repaired(what: &'static str, count: u64) {
    lockstep_telemetry::work::repaired(what, count);
    tracing::info!(what, count, "repaired");
}
