use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall-clock milliseconds that never jump while the bus is open: the wall clock is read once, and monotonic time is added.
///
/// The file stores due times in these milliseconds. If the wall clock is set back while the bus is closed, messages would
/// wait too long; [`file::clamp_due`](super::file::clamp_due) prevents that.
#[derive(Debug)]
pub(super) struct SteadyClock {
    opened_at_ms: i64,
    opened: Instant,
}

impl SteadyClock {
    /// Reads the wall clock and starts from there.
    #[expect(
        clippy::disallowed_methods,
        reason = "due times in the file are compared across processes, so they need the wall clock"
    )]
    pub(super) fn start() -> Self {
        Self {
            opened_at_ms: Timestamp::now().as_millisecond(),
            opened: Instant::now(),
        }
    }

    /// The current time, rounded down.
    pub(super) fn now_ms(&self) -> i64 {
        self.opened_at_ms + millis(self.opened.elapsed())
    }

    /// The time in `wait`, rounded up.
    pub(super) fn after_ms(&self, wait: Duration) -> i64 {
        self.now_ms().saturating_add(millis(wait)).saturating_add(1)
    }

    /// The duration until then; zero if it has passed.
    pub(super) fn until(&self, due_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(due_ms - self.now_ms()).unwrap_or(0))
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
