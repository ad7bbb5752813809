use std::collections::BTreeSet;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::gate::Policy;
use crate::wire::TaskId;

/// The options of a sweep.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// The status of the tasks to list. The gate keeps all tasks whose status is not `Pending`.
    pub status: String,
    /// Whether to change nothing: no note, no cancel.
    pub dry_run: bool,
    /// Only these tasks; the others still count as tasks of their devices.
    pub only: Option<BTreeSet<TaskId>>,
    /// The settings of the gate.
    pub policy: Policy,
    /// The name in the note on each task.
    pub author: String,
    /// The most tasks in progress. It exceeds the number of concurrent requests, since some tasks only wait.
    pub in_flight: usize,
    /// The page size of the task list.
    pub page: usize,
    /// How to wait for the end of a cancel.
    pub confirm: ConfirmOptions,
    /// Stops the sweep early: no cancel begins after it.
    pub stop: CancellationToken,
}

/// How to wait for the end of a cancel. CloudVision answers when it begins, not when it is done.
#[derive(Clone, Copy, Debug)]
pub struct ConfirmOptions {
    /// The pause after the first read of the task; each further one is twice as long.
    pub first: Duration,
    /// The longest pause.
    pub most: Duration,
    /// The timeout.
    pub deadline: Duration,
    /// How long a task may stay pending after a cancel whose answer was lost before the cancel counts as not executed.
    pub lost: Duration,
    /// The most cancels of one task, if their answers are lost.
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
