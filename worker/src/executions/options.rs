use std::time::Duration;

use lockstep_execution::Caps;

use super::Persons;

/// How executions run on a worker. All workers should have the same caps.
#[derive(Clone, Debug)]
pub struct ExecutionOptions {
    /// How many elements run at once, on all workers together.
    pub caps: Caps,
    /// How many elements run on this worker at once; at least 1.
    pub places: usize,
    /// How long one element may run.
    pub element_timeout: Duration,
    /// How long a running element that is told to stop may go on.
    pub stop_grace: Duration,
    /// How long a running element belongs to its worker without a renewal: so long others wait for a worker that crashed.
    pub lease_time: Duration,
    /// How long a message about an element has before the periodic task publishes it again: of a queued element that no worker took,
    /// and of an ended one that its worker did not announce. One that was queued because a place became free has the lease time.
    pub overdue_after: Duration,
    /// Which syncs may be requested.
    pub sync: SyncOptions,
    /// What other workers and people call this worker: its machine and its process id.
    pub worker: String,
}

/// Which syncs may be requested. All workers should have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncOptions {
    /// Whether devices are changed only by plans that somebody else approved.
    pub approval_required: bool,
    /// How long after its end a plan may be approved and applied.
    pub plan_expires: Duration,
    /// How long an approval counts.
    pub approval_valid: Duration,
    /// Which senders are the same person.
    pub persons: Persons,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            approval_required: false,
            plan_expires: Duration::from_hours(24),
            approval_valid: Duration::from_hours(8),
            persons: Persons::default(),
        }
    }
}

impl Default for ExecutionOptions {
    fn default() -> Self {
        Self {
            caps: Caps::default(),
            places: 256,
            element_timeout: Duration::from_mins(5),
            stop_grace: Duration::from_secs(5),
            lease_time: Duration::from_secs(10),
            overdue_after: Duration::from_secs(30),
            sync: SyncOptions::default(),
            worker: format!("pid {}", std::process::id()),
        }
    }
}
