//! Metrics of the store.

use std::time::Duration;

use crate::families::STORE_WAIT_SECONDS;

/// Makes the histogram exist, before the first operation.
pub fn begin() {
    let _ = STORE_WAIT_SECONDS.histogram::<&'static str>([]);
}

/// Records how long an operation waited for a session.
pub fn waited(duration: Duration) {
    STORE_WAIT_SECONDS
        .histogram::<&'static str>([])
        .record(duration.as_secs_f64());
}
