//! Deletes expired records: inbox rows, closed causes, settled dead letters, delivery attempts, executions, former hostnames, removed
//! links, the history of devices, sessions of browsers, entries of the audit, and samples of the fleet.
//!
//! It is a periodic task of one process at a time. It deletes in chunks with pauses between them, so that it hardly slows down
//! the lanes. Records that are still needed stay at any age: unsettled dead letters, requeued dead letters whose message is not
//! processed yet, the inbox rows of both, and the open causes of devices.

mod keep;
mod sweep;

pub use keep::Keep;
pub use sweep::{Deleted, RetentionSweep};
