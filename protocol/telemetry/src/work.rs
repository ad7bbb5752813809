//! Metrics of lanes: deliveries, their outcomes and durations.

use std::time::Duration;

use lockstep_protocol::Code;
use lockstep_protocol::topology::{Lane, RetryDelay};
use metrics::{Counter, Gauge, Histogram};

use crate::families::{BATCH_SECONDS, DEAD, DELIVERIES, IN_FLIGHT, REPAIRS, RETRIES, RUN_SECONDS};

/// The label of a code that only newer versions know.
const UNKNOWN_CODE: &str = "unknown";

/// The outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// The message was applied, by this delivery or an earlier one.
    Applied,
    /// The message was dead-lettered, by this delivery or an earlier one.
    Dead,
    /// The message was refused to its sender, by this delivery or an earlier one.
    Refused,
    /// The message failed and is retried after a delay.
    Retried,
    /// The message was forwarded to the lane that processes its type.
    Forwarded,
    /// The message could not be attempted yet and is delivered again later, without counting an attempt.
    Postponed,
}

impl MessageOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Applied,
        Self::Dead,
        Self::Refused,
        Self::Retried,
        Self::Forwarded,
        Self::Postponed,
    ];

    /// The outcome as a label value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Dead => "dead",
            Self::Refused => "refused",
            Self::Retried => "retried",
            Self::Forwarded => "forwarded",
            Self::Postponed => "postponed",
        }
    }
}

/// The metrics of one lane. All series exist with the value zero from the start, so that the first failure is an increase.
#[derive(Clone)]
pub struct LaneMetrics {
    lane: Lane,
    deliveries: [Counter; MessageOutcome::ALL.len()],
    in_flight: Gauge,
    seconds: Histogram,
}

impl LaneMetrics {
    /// The metrics of a lane that processes batches.
    pub fn of_batches(lane: Lane) -> Self {
        Self::of(lane, BATCH_SECONDS.histogram([lane.as_str()]))
    }

    /// The metrics of a run lane.
    pub fn of_runs(lane: Lane) -> Self {
        Self::of(lane, RUN_SECONDS.histogram([lane.as_str()]))
    }

    fn of(lane: Lane, seconds: Histogram) -> Self {
        for delay in RetryDelay::ALL {
            RETRIES.counter([lane.as_str(), delay_label(*delay)]).absolute(0);
        }
        for code in Code::ALL.map(Code::as_str).into_iter().chain([UNKNOWN_CODE]) {
            DEAD.counter([lane.as_str(), code]).absolute(0);
        }
        let in_flight = IN_FLIGHT.gauge([lane.as_str()]);
        in_flight.increment(0.0);
        Self {
            lane,
            deliveries: MessageOutcome::ALL.map(|outcome| {
                let counter = DELIVERIES.counter([lane.as_str(), outcome.as_str()]);
                counter.absolute(0);
                counter
            }),
            in_flight,
            seconds,
        }
    }

    /// The lane that these metrics belong to.
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Notes that deliveries were received.
    pub fn taken(&self, deliveries: usize) {
        self.in_flight.increment(count(deliveries));
    }

    /// Notes that deliveries are no longer in flight: acknowledged, or returned to the queue.
    pub fn let_go(&self, deliveries: usize) {
        self.in_flight.decrement(count(deliveries));
    }

    /// Records the outcomes and the duration of acknowledged deliveries.
    pub fn acknowledged(&self, tally: &Tally, duration: Duration) {
        self.seconds.record(duration.as_secs_f64());
        for (counter, deliveries) in self.deliveries.iter().zip(tally.outcomes) {
            if deliveries > 0 {
                counter.increment(deliveries);
            }
        }
        for code in &tally.dead {
            DEAD.counter([self.lane.as_str(), code]).increment(1);
        }
        for delay in &tally.retried {
            RETRIES
                .counter([self.lane.as_str(), delay_label(*delay)])
                .increment(1);
        }
    }
}

impl std::fmt::Debug for LaneMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LaneMetrics")
            .field("lane", &self.lane)
            .finish_non_exhaustive()
    }
}

/// Counts the outcomes of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    outcomes: [u64; MessageOutcome::ALL.len()],
    dead: Vec<&'static str>,
    retried: Vec<RetryDelay>,
}

impl Tally {
    /// Counts an applied message.
    pub fn applied(&mut self) {
        self.add(MessageOutcome::Applied);
    }

    /// Counts a dead-lettered message. `None` if a newer version dead-lettered it with an unknown code.
    pub fn dead(&mut self, code: Option<Code>) {
        self.add(MessageOutcome::Dead);
        self.dead.push(code.map_or(UNKNOWN_CODE, Code::as_str));
    }

    /// Counts a message that was refused to its sender.
    pub fn refused(&mut self) {
        self.add(MessageOutcome::Refused);
    }

    /// Counts a message that is retried after this delay.
    pub fn retried(&mut self, delay: RetryDelay) {
        self.add(MessageOutcome::Retried);
        self.retried.push(delay);
    }

    /// Counts a message that was forwarded to another lane.
    pub fn forwarded(&mut self) {
        self.add(MessageOutcome::Forwarded);
    }

    /// Counts a postponed message.
    pub fn postponed(&mut self) {
        self.add(MessageOutcome::Postponed);
    }

    fn add(&mut self, outcome: MessageOutcome) {
        self.outcomes[outcome as usize] += 1;
    }
}

/// Makes the counters of these kinds of repair exist, so that the first repair is an increase.
pub fn begin_repairs(kinds: impl IntoIterator<Item = &'static str>) {
    for what in kinds {
        REPAIRS.counter([what]).absolute(0);
    }
}

/// Counts repairs of the reconcile pass. `what` names the kind of repair; it must come from a small set.
pub fn repaired(what: &'static str, times: u64) {
    REPAIRS.counter([what]).increment(times);
}

fn delay_label(delay: RetryDelay) -> &'static str {
    match delay {
        RetryDelay::Seconds5 => "5s",
        RetryDelay::Seconds30 => "30s",
        RetryDelay::Minutes2 => "2m",
        RetryDelay::Minutes10 => "10m",
    }
}

/// Converts a count; exact, since a `f64` represents every `u32`.
fn count(deliveries: usize) -> f64 {
    f64::from(u32::try_from(deliveries).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrape::shown;

    #[test]
    fn the_series_of_a_lane_exist_from_the_start_and_count_acknowledged_deliveries() {
        let text = shown(|| drop(LaneMetrics::of_batches(Lane::Events)));
        for line in [
            "lockstep_deliveries_total{lane=\"events\",outcome=\"dead\"} 0",
            "lockstep_retries_total{lane=\"events\",delay=\"10m\"} 0",
            "lockstep_dead_total{lane=\"events\",code=\"delivery-limit\"} 0",
            "lockstep_dead_total{lane=\"events\",code=\"unknown\"} 0",
            "lockstep_batch_seconds_count{lane=\"events\"} 0",
            "lockstep_in_flight{lane=\"events\"} 0",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }

        let text = shown(|| {
            let lane = LaneMetrics::of_batches(Lane::Events);
            lane.taken(5);
            let mut tally = Tally::default();
            tally.applied();
            tally.applied();
            tally.dead(Some(Code::UnknownDevice));
            tally.retried(RetryDelay::Minutes2);
            lane.acknowledged(&tally, Duration::from_millis(3));
            lane.let_go(4);
            repaired("element", 7);
        });
        for line in [
            "lockstep_deliveries_total{lane=\"events\",outcome=\"applied\"} 2",
            "lockstep_deliveries_total{lane=\"events\",outcome=\"dead\"} 1",
            "lockstep_deliveries_total{lane=\"events\",outcome=\"retried\"} 1",
            "lockstep_deliveries_total{lane=\"events\",outcome=\"postponed\"} 0",
            "lockstep_dead_total{lane=\"events\",code=\"unknown-device\"} 1",
            "lockstep_retries_total{lane=\"events\",delay=\"2m\"} 1",
            "lockstep_in_flight{lane=\"events\"} 1",
            "lockstep_batch_seconds_bucket{lane=\"events\",le=\"0.0025\"} 0",
            "lockstep_batch_seconds_bucket{lane=\"events\",le=\"0.005\"} 1",
            "lockstep_batch_seconds_count{lane=\"events\"} 1",
            "lockstep_reconcile_repairs_total{what=\"element\"} 7",
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
        }
    }
}
