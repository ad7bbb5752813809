//! Settles single tasks: two readings, the note, the cancel, and what it led to.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use lockstep_clock::Clock;
use tokio::time::Instant;

use super::second_reading::{EndState, ended};
use super::shared_read::SharedRead;
use super::{Afterwards, Cvp, ListedTask, SweepContext, SweepOptions, TaskOutcome, TaskReport};
use crate::ComplianceCode;
use crate::client::Priority;
use crate::gate::{Attachment, Reading, Reason};
use crate::wire::{ChangeControls, Task};

/// What is reported for a cancel of a former attempt.
const FORMER_ATTEMPT: &str = "an attempt that was interrupted cancelled it";

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
    /// Whether an earlier attempt may have sent a cancel.
    pub(super) may_be_ours: bool,
}

/// What an earlier attempt came to.
enum Former {
    /// There was none that changed something.
    Nothing,
    /// It wrote its note, and a cancel that it may have sent has not taken effect.
    Noted,
    /// The task is settled.
    Settled(TaskOutcome),
}

/// How the first reading of a task ended.
pub(super) enum FirstReading {
    /// Only the second reading is missing.
    Empty(Box<Candidate>),
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

    /// Settles a listed task: reads it twice, and cancels it if it is empty.
    ///
    /// It may be repeated after an interruption at any point, by another process, too: the note of [`SweepOptions::author`] tells that an
    /// earlier attempt may have sent a cancel. Such a task is read until that took effect, and is not cancelled again meanwhile.
    pub async fn settle(&self, listed: &ListedTask) -> TaskReport {
        let task = &listed.task;
        let settled = match self.former_attempt(task).await {
            Former::Settled(outcome) => Settled { code: None, outcome },
            former => match self.read_first(task).await {
                FirstReading::Settled(settled) => settled,
                FirstReading::Empty(candidate) => {
                    let candidate = Candidate {
                        may_be_ours: matches!(former, Former::Noted),
                        ..*candidate
                    };
                    self.read_second(&candidate, listed.tasks_on_device).await
                }
            },
        };
        TaskReport::new(task, settled.code, settled.outcome)
    }

    /// Checks a device once more, some time after one of its tasks was cancelled.
    pub async fn look_again(&self, net_element_id: &str) -> (Option<ComplianceCode>, Afterwards) {
        let compliance = self.cvp.compliance(net_element_id, Priority::Normal).await;
        let code = compliance
            .ok()
            .and_then(|compliance| compliance.code.get().cloned());
        let afterwards = self.afterwards(code.as_ref());
        (code, afterwards)
    }

    pub(super) fn afterwards(&self, code: Option<&ComplianceCode>) -> Afterwards {
        match code {
            Some(code) if self.options.policy.codes.contains(code) => Afterwards::Compliant,
            Some(_) => Afterwards::NoLongerCompliant,
            None => Afterwards::Unknown,
        }
    }

    /// What an earlier attempt at this task came to that was interrupted.
    async fn former_attempt(&self, task: &Task) -> Former {
        if self.options.dry_run {
            return Former::Nothing;
        }
        let id = task.task_id();
        let now = match self.cvp.task(&id).await {
            Ok(now) => now,
            Err(error) => {
                return Former::Settled(TaskOutcome::Kept {
                    reasons: BTreeSet::from([Reason::TaskUnreadable]),
                    error: Some(error.to_string()),
                });
            }
        };
        let noted = now.as_ref().is_some_and(|now| self.has_noted(now));
        match (noted, ended(now.as_ref())) {
            (false, Some(status)) => return Former::Settled(TaskOutcome::Gone { status }),
            (false, None) => return Former::Nothing,
            (true, _) => {}
        }
        match self.wait_for_end(&id, self.options.confirm.lost).await {
            EndState::Cancelled => {
                Former::Settled(self.check_after_cancel(task, FORMER_ATTEMPT.to_owned()).await)
            }
            EndState::Ended(status) => Former::Settled(TaskOutcome::Gone { status }),
            EndState::Pending | EndState::Unreadable => Former::Noted,
        }
    }

    fn has_noted(&self, task: &Task) -> bool {
        let note = task.note.text().strip_prefix(&self.options.author);
        note.is_some_and(|rest| rest.starts_with(':'))
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
