//! Metrics of runs of syncs.

use metrics::Counter;

use crate::families::{SYNC_FAILURES, SYNC_RUNS};

const OUTCOMES: [&str; 5] = ["changed", "unchanged", "failed", "skipped", "parked"];

const STAGES: [&str; 12] = [
    "begin",
    "connect",
    "sessions",
    "read",
    "drift",
    "render",
    "load",
    "difference",
    "commit",
    "read-back",
    "confirm",
    "flag",
];

/// The runs of this worker, one a device. All series exist from the start.
#[derive(Clone)]
pub struct SyncMetrics {
    runs: [Counter; OUTCOMES.len()],
    failures: [Counter; STAGES.len()],
}

impl SyncMetrics {
    /// Registers the series with zero.
    #[must_use]
    pub fn new() -> Self {
        let zero = |counter: Counter| {
            counter.absolute(0);
            counter
        };
        Self {
            runs: OUTCOMES.map(|outcome| zero(SYNC_RUNS.counter([outcome]))),
            failures: STAGES.map(|stage| zero(SYNC_FAILURES.counter([stage]))),
        }
    }

    /// A run ended: `changed`, `unchanged`, `failed`, `skipped` or `parked`.
    pub fn ended(&self, outcome: &str) {
        let series = self.runs.iter().zip(OUTCOMES);
        for (counter, _) in series.filter(|(_, known)| *known == outcome) {
            counter.increment(1);
        }
    }

    /// A run failed in this stage.
    pub fn failed(&self, stage: &str) {
        let series = self.failures.iter().zip(STAGES);
        for (counter, _) in series.filter(|(_, known)| *known == stage) {
            counter.increment(1);
        }
    }
}

impl Default for SyncMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SyncMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SyncMetrics").finish_non_exhaustive()
    }
}
