//! The options of a run lane.

use std::time::Duration;

/// How a run lane runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLaneOptions {
    /// The maximum number of deliveries in flight.
    pub permits: u16,
    /// How long a key waits for more messages before its run begins.
    pub debounce: Duration,
    /// How long a run may take, at most nine minutes: a message may wait for one run before its own, and RabbitMQ closes the
    /// channel of a consumer that keeps a delivery for half an hour.
    pub deadline: Duration,
    /// How long a run may go on after it was cancelled, less than a third of the lease time: a run is cancelled when two thirds
    /// of that time have passed without a renewal, so that it ends before another worker begins.
    pub grace: Duration,
    /// How long a lease holds without a renewal: so long others wait for a worker that crashed.
    pub lease_time: Duration,
    /// How long a run waits for a lease that another run holds before its messages are postponed.
    pub lease_wait: Duration,
}

/// A message may wait for one run before its own, and both together fit in 20 minutes.
const LONGEST_RUN: Duration = Duration::from_mins(9);

impl Default for RunLaneOptions {
    fn default() -> Self {
        Self {
            permits: 256,
            debounce: Duration::from_millis(500),
            deadline: LONGEST_RUN,
            grace: Duration::from_secs(3),
            lease_time: Duration::from_secs(10),
            lease_wait: Duration::from_secs(5),
        }
    }
}

impl RunLaneOptions {
    /// The same within the bounds that the fields state.
    pub(super) fn bounded(self) -> Self {
        Self {
            deadline: self.deadline.min(LONGEST_RUN),
            grace: self.grace.min(self.lease_time * 3 / 10),
            ..self
        }
    }
}
