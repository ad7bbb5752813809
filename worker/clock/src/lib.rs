//! The wall clock as a dependency, so that tests can set the time.

use std::fmt::Debug;

use jiff::Timestamp;

/// Reads the time of day.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The current time, truncated to microseconds: stores keep no finer times, and a time must be read back as it was written.
    fn now(&self) -> Timestamp;
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the wall clock"
    )]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).expect("truncating keeps a time in range")
    }
}
