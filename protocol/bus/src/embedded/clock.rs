use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall-clock milliseconds that never jump while the bus is open: the wall clock is read once, and steady time is added.
///
/// Due times are kept in the file in these milliseconds. A wall clock that was set back between two openings could
/// make them wait too long; see [`file::clamp_due`](super::file::clamp_due).
#[derive(Debug)]
pub(super) struct SteadyClock {
    opened_at_ms: i64,
    opened: Instant,
}

impl SteadyClock {
    /// Starts at the wall clock's time.
    #[expect(
        clippy::disallowed_methods,
        reason = "due times in the file are compared across processes; no test decides them, since steady time is added"
    )]
    pub(super) fn start() -> Self {
        Self {
            opened_at_ms: Timestamp::now().as_millisecond(),
            opened: Instant::now(),
        }
    }

    /// Now, rounded down.
    pub(super) fn now_ms(&self) -> i64 {
        self.opened_at_ms + millis(self.opened.elapsed())
    }

    /// An instant that is not before `wait` from now.
    pub(super) fn after_ms(&self, wait: Duration) -> i64 {
        self.now_ms().saturating_add(millis(wait)).saturating_add(1)
    }

    /// How long it is until then.
    pub(super) fn until(&self, due_ms: i64) -> Duration {
        Duration::from_millis(u64::try_from(due_ms - self.now_ms()).unwrap_or(0))
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
