use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::gate::Policy;
use crate::wire::TaskId;

/// What to sweep, and how.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// The status of the tasks that are listed. In any other than `Pending`, the gate keeps them all.
    pub status: String,
    /// Whether nothing is changed: no note, no cancel.
    pub dry_run: bool,
    /// Only these tasks; the others count as company on their devices.
    pub only: Option<BTreeSet<TaskId>>,
    /// What must hold.
    pub policy: Policy,
    /// Whose work it is, for the note on each task.
    pub author: String,
    /// How many tasks are worked on at once. More than requests may be under way: some tasks wait for time to pass.
    pub in_flight: usize,
    /// How many tasks are listed by one request.
    pub page: usize,
    /// How the end of a cancel is waited for.
    pub confirm: ConfirmOptions,
    /// Ends the sweep early: no cancel is begun after it.
    pub stop: CancellationToken,
}

/// How the end of a cancel is waited for: CloudVision says that it began, not that it is done.
#[derive(Clone, Copy, Debug)]
pub struct ConfirmOptions {
    /// The pause after the first look; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// When it is enough.
    pub deadline: Duration,
    /// How long a task may stay pending after a cancel whose answer was lost, until the cancel counts as not done.
    pub lost: Duration,
    /// How often a task is cancelled at most, if the answers are lost.
    pub cancels: u32,
}

impl Default for ConfirmOptions {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(100),
            most: Duration::from_secs(2),
            deadline: Duration::from_secs(30),
            lost: Duration::from_secs(5),
            cancels: 3,
        }
    }
}

impl Default for SweepOptions {
    fn default() -> Self {
        Self {
            status: "Pending".to_owned(),
            dry_run: true,
            only: None,
            policy: Policy::default(),
            author: "Lockstep".to_owned(),
            in_flight: 128,
            page: 500,
            confirm: ConfirmOptions::default(),
            stop: CancellationToken::new(),
        }
    }
}
