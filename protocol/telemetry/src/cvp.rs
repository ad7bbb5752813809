//! Metrics of sweeps of CloudVision.

use metrics::Counter;

use crate::families::{CVP_ALERTS, CVP_TASKS};

const ACTIONS: [&str; 4] = ["cancelled", "kept", "failed", "gone"];

/// The tasks that this worker settled. All series exist from the start.
#[derive(Clone)]
pub struct SweepMetrics {
    settled: [Counter; ACTIONS.len()],
    alerts: Counter,
}

impl SweepMetrics {
    /// Registers the series with zero.
    #[must_use]
    pub fn new() -> Self {
        let zero = |counter: Counter| {
            counter.absolute(0);
            counter
        };
        Self {
            settled: ACTIONS.map(|action| zero(CVP_TASKS.counter([action]))),
            alerts: zero(CVP_ALERTS.counter::<&str>([])),
        }
    }

    /// A task was settled: `cancelled`, `kept`, `failed` or `gone`.
    pub fn settled(&self, action: &str) {
        let series = self.settled.iter().zip(ACTIONS);
        for (counter, _) in series.filter(|(_, known)| *known == action) {
            counter.increment(1);
        }
    }

    /// A device was no longer compliant after a cancel.
    pub fn alert(&self) {
        self.alerts.increment(1);
    }
}

impl Default for SweepMetrics {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for SweepMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SweepMetrics").finish_non_exhaustive()
    }
}
