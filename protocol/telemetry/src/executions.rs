//! Metrics of executions: elements that run, wait and end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lockstep_protocol::ElementOutcome;
use metrics::{Counter, Gauge, Histogram};

use crate::families::{CLAIM_SECONDS, ELEMENTS_ENDED, ELEMENTS_RUNNING, ELEMENTS_WAITING, FINISH_SECONDS};

/// What elements wait for, as a label.
pub const WAITING_FOR: [&str; 10] = [
    "stop",
    "overall",
    "provider",
    "group",
    "execution",
    "device",
    "cluster",
    "stage",
    "parked",
    "workflow",
];

const OUTCOMES: [(ElementOutcome, &str); 3] = [
    (ElementOutcome::Done, "done"),
    (ElementOutcome::Failed, "failed"),
    (ElementOutcome::Skipped, "skipped"),
];

/// How many elements a part of this worker runs. The gauge has the sum of all parts.
pub struct RunningMetrics {
    gauge: Gauge,
    running: AtomicUsize,
}

impl RunningMetrics {
    /// Registers the gauge with zero.
    #[must_use]
    pub fn new() -> Self {
        let gauge = ELEMENTS_RUNNING.gauge::<&str>([]);
        gauge.increment(0.0);
        Self {
            gauge,
            running: AtomicUsize::new(0),
        }
    }

    /// So many run.
    pub fn set(&self, elements: usize) {
        let before = self.running.swap(elements, Ordering::SeqCst);
        self.gauge.increment(count(elements) - count(before));
    }
}

impl Default for RunningMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The transactions about elements, and the elements that ended. All series exist from the start.
#[derive(Clone)]
pub struct ElementMetrics {
    ended: [Counter; OUTCOMES.len()],
    claim: Histogram,
    finish: Histogram,
}

impl ElementMetrics {
    /// Registers the series with zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            ended: OUTCOMES.map(|(_, label)| {
                let counter = ELEMENTS_ENDED.counter([label]);
                counter.absolute(0);
                counter
            }),
            claim: CLAIM_SECONDS.histogram::<&str>([]),
            finish: FINISH_SECONDS.histogram::<&str>([]),
        }
    }

    /// An element ended.
    pub fn ended(&self, outcome: ElementOutcome) {
        for (counter, _) in self
            .ended
            .iter()
            .zip(OUTCOMES)
            .filter(|(_, (known, _))| *known == outcome)
        {
            counter.increment(1);
        }
    }

    /// A claim took so long.
    pub fn claimed(&self, took: Duration) {
        self.claim.record(took.as_secs_f64());
    }

    /// Committing ends took so long.
    pub fn finished(&self, took: Duration) {
        self.finish.record(took.as_secs_f64());
    }
}

impl Default for ElementMetrics {
    fn default() -> Self {
        Self::new()
    }
}

/// So many elements wait, by what they wait for.
pub fn waiting(counts: [usize; WAITING_FOR.len()]) {
    for (label, waiting) in WAITING_FOR.into_iter().zip(counts) {
        ELEMENTS_WAITING.gauge([label]).set(count(waiting));
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn count(elements: usize) -> f64 {
    elements as f64
}

impl std::fmt::Debug for RunningMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunningMetrics").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ElementMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ElementMetrics").finish_non_exhaustive()
    }
}
