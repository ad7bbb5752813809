use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use tokio::time::Instant;

/// Whether the time of the devices passes by itself. It can be moved forward in both cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Time {
    #[default]
    Passes,
    /// It passes only by [`FleetSimulator::advance`](super::FleetSimulator::advance).
    StandsStill,
}

/// The clock of all devices.
#[derive(Debug)]
pub(crate) struct Clock {
    /// `None` if the time stands still.
    started: Option<Instant>,
    /// The time of the start since 1970.
    started_at: Duration,
    moved: Mutex<Duration>,
}

impl Clock {
    pub(crate) fn new(time: Time) -> Self {
        Self {
            started: (time == Time::Passes).then(Instant::now),
            // A clock before 1970 is as good as any other here.
            started_at: UNIX_EPOCH.elapsed().unwrap_or_default(),
            moved: Mutex::default(),
        }
    }

    /// The time since the start.
    pub(crate) fn now(&self) -> Duration {
        let passed = self.started.map_or(Duration::ZERO, |started| started.elapsed());
        passed + *self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.moved.lock().unwrap_or_else(PoisonError::into_inner) += by;
    }

    /// A time since the start in seconds since 1970, as EOS shows times.
    pub(crate) fn unix_seconds(&self, at: Duration) -> f64 {
        (self.started_at + at).as_secs_f64()
    }
}
