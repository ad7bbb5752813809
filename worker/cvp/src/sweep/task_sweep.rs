//! Settles single tasks: two readings, the note, the cancel, and what it led to.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_clock::Clock;
use tokio::time::Instant;

use super::shared_read::SharedRead;
use super::{Cvp, SweepContext, SweepOptions, TaskOutcome};
use crate::ComplianceCode;
use crate::gate::{Attachment, Reading, Reason};
use crate::wire::{ChangeControls, Task};

/// Settles single tasks that the lists do not keep.
#[derive(Debug)]
pub struct TaskSweep {
    pub(super) cvp: Arc<dyn Cvp>,
    clock: Arc<dyn Clock>,
    pub(super) options: SweepOptions,
    pub(super) controls: SharedControls,
    /// Whether the change controls could be read when the tasks were listed.
    pub(super) controls_read: bool,
}

/// Readings of the change controls of one cluster, which tasks that are settled at the same time share.
#[derive(Clone, Debug, Default)]
pub struct SharedControls(pub(super) Arc<SharedRead<ChangeControls>>);

/// A task that the first reading found empty.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) reading: Reading,
    pub(super) at: Instant,
}

/// How the first reading of a task ended.
pub(super) enum FirstReading {
    /// Only the second reading is missing.
    Empty(Candidate),
    /// The task is settled.
    Settled(Settled),
}

/// The outcome of a task, and the code of its device in the last reading.
#[derive(Debug)]
pub(super) struct Settled {
    pub(super) code: Option<ComplianceCode>,
    pub(super) outcome: TaskOutcome,
}

impl TaskSweep {
    /// Settles tasks with these options. `controls_read`: whether the change controls could be read when the tasks were listed.
    pub fn new(
        context: &SweepContext,
        options: SweepOptions,
        controls: SharedControls,
        controls_read: bool,
    ) -> Self {
        Self {
            cvp: context.cvp.clone(),
            clock: context.clock.clone(),
            options,
            controls,
            controls_read,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn stopped(&self) -> bool {
        self.options.stop.is_cancelled()
    }
}

/// Whether one of the change controls has a task.
pub(super) fn attachment(controls: Option<&ChangeControls>, task: &Task) -> Attachment {
    match controls {
        None => Attachment::Unknown,
        Some(controls) if controls.holding(&task.task_id()).is_some() => Attachment::Held,
        Some(_) => Attachment::Free,
    }
}

/// Removes the reason that the second reading is due, unless it is the only one.
pub(super) fn without_due(mut reasons: BTreeSet<Reason>) -> BTreeSet<Reason> {
    if reasons.len() > 1 {
        reasons.remove(&Reason::SecondReadingDue);
    }
    reasons
}
