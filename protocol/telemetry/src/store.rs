//! What the store tells while it works.

use std::time::Duration;

use crate::families::STORE_WAIT_SECONDS;

/// Work waited so long for a session.
pub fn waited(duration: Duration) {
    STORE_WAIT_SECONDS
        .histogram::<&'static str>([])
        .record(duration.as_secs_f64());
}
