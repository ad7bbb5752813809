//! Metrics of the store.

use std::time::Duration;

use crate::families::{STORE_LOCK_WAITS, STORE_WAIT_SECONDS};

/// Makes the histogram and the counter exist, before the first operation. Names of machines are not known in advance.
pub fn begin() {
    let _ = STORE_LOCK_WAITS.counter([OTHER_HOLDER]);
    let _ = STORE_WAIT_SECONDS.histogram::<&'static str>([]);
}

/// Records how long an operation waited for a session.
pub fn waited(duration: Duration) {
    STORE_WAIT_SECONDS
        .histogram::<&'static str>([])
        .record(duration.as_secs_f64());
}

/// The holder of a lock that is no Lockstep.
pub const OTHER_HOLDER: &str = "other";

/// Counts a wait of a transaction for locks that this session holds: the name of a machine with Lockstep, or [`OTHER_HOLDER`].
pub fn waits_for_lock_of(holder: &str) {
    STORE_LOCK_WAITS.counter([holder.to_owned()]).increment(1);
}
