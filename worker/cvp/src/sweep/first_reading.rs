//! Reads a task for the first time.

use std::collections::BTreeSet;

use super::TaskOutcome;
use super::task_sweep::{Candidate, FirstReading, Settled, TaskSweep, without_due};
use crate::client::Priority;
use crate::gate::{Attachment, Evidence, Reading, Reason, Verdict, decide};
use crate::wire::{Compliance, Task, TaskDiff};

impl TaskSweep {
    /// Reads the evidence about a listed task that no change control has, as far as they could be read.
    pub(super) async fn read_first(&self, task: &Task) -> FirstReading {
        if self.stopped() {
            return settled(None, TaskOutcome::kept(BTreeSet::from([Reason::Stopped])));
        }
        let compliance = self.cvp.compliance(task.device(), Priority::Normal).await;
        let (at, now) = (tokio::time::Instant::now(), self.now());
        let code = compliance
            .as_ref()
            .ok()
            .and_then(|compliance| compliance.code.get().cloned());
        let reasons = self.reasons_to_keep(task, compliance.as_ref().ok(), Some(&TaskDiff::Absent));
        let is_final = |reason: &Reason| !matches!(reason, Reason::SecondReadingDue | Reason::TaskDiffAbsent);
        let reasons: BTreeSet<Reason> = reasons.into_iter().filter(is_final).collect();
        if !reasons.is_empty() {
            let error = compliance.err().map(|error| error.to_string());
            return settled(code, TaskOutcome::Kept { reasons, error });
        }
        // Requested last, because the device's check alone keeps most tasks.
        let diff = self.cvp.task_diff(&task.task_id(), Priority::Normal).await;
        let reasons = self.reasons_to_keep(task, compliance.as_ref().ok(), diff.as_ref().ok());
        match code {
            Some(code) if reasons.iter().eq([&Reason::SecondReadingDue]) => {
                let task = task.clone();
                let reading = Reading { task, code, at: now };
                FirstReading::Empty(Box::new(Candidate {
                    reading,
                    at,
                    may_be_ours: false,
                }))
            }
            code => {
                let reasons = without_due(reasons);
                let error = diff.err().map(|error| error.to_string());
                settled(code, TaskOutcome::Kept { reasons, error })
            }
        }
    }

    fn reasons_to_keep(
        &self,
        task: &Task,
        compliance: Option<&Compliance>,
        diff: Option<&TaskDiff>,
    ) -> BTreeSet<Reason> {
        let evidence = Evidence {
            task,
            compliance,
            diff,
            // The prefilter keeps tasks that a change control has.
            attachment: if self.controls_read {
                Attachment::Free
            } else {
                Attachment::Unknown
            },
            // The list is not complete yet; the second reading has the number.
            tasks_on_device: 1,
            earlier: None,
        };
        match decide(&evidence, &self.options.policy, self.now()) {
            Verdict::Keep(reasons) => reasons,
            Verdict::Cancel => BTreeSet::new(),
        }
    }
}

fn settled(code: Option<crate::ComplianceCode>, outcome: TaskOutcome) -> FirstReading {
    FirstReading::Settled(Settled { code, outcome })
}
