//! Metrics of the store.

use std::time::Duration;

use crate::families::{STORE_LOCK_WAITS, STORE_WAIT_SECONDS};

/// Records how long an operation waited for a session.
pub fn waited(duration: Duration) {
    STORE_WAIT_SECONDS
        .histogram::<&'static str>([])
        .record(duration.as_secs_f64());
}

/// Counts a wait of a transaction for locks that this session holds: the name of a machine with Lockstep, or `other`.
pub fn waits_for_lock_of(holder: &str) {
    STORE_LOCK_WAITS.counter([holder.to_owned()]).increment(1);
}
