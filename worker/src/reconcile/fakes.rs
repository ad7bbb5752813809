//! Fakes of the bus and the clock.

use std::sync::Mutex;

use jiff::Timestamp;
pub(super) use lockstep_bus::fake::{FakeBus, FakeMode};

use lockstep_clock::Clock;

#[derive(Debug, Default)]
pub(super) struct FakeClock(Mutex<Timestamp>);

impl FakeClock {
    pub(super) fn set(&self, now: Timestamp) {
        *self.0.lock().unwrap() = now;
    }
}

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}
