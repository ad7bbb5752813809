//! Brings back what was lost on the way: rows are the truth, messages the hurry.
//!
//! A pass looks for what is due in the store, or missing in the broker, and repairs it; one process of all does the
//! passes, under a lease ([`PeriodicTaskRunner`](crate::runtime::Rounds)). Everything published here was published before, and has the
//! same identity: whoever works it twice finds its inbox row. So a queue that was deleted, or a broker that was installed
//! anew, only delays.
//!
//! - [`RequeuedDeadLetters`]: dead letters that were requeued and not worked since.
//! - [`BrokerObjects`]: exchanges, queues and bindings, where this process may declare them.
//!
//! The watch over remotes ([`crate::repositories::watch`]) is beside it: it needs the clones, waits for git, and has a turn
//! for each repository.

mod dead_letters;
#[cfg(test)]
mod fakes;
mod objects;
mod pass;
mod repair;

pub use dead_letters::RequeuedDeadLetters;
pub use objects::BrokerObjects;
pub use pass::{Pass, Reconcile};
pub use repair::{Page, Repair, RepairError};

/// Counts repairs, and says so.
pub(crate) fn repaired(what: &'static str, count: u64) {
    lockstep_telemetry::work::repaired(what, count);
    tracing::info!(what, count, "repaired");
}
