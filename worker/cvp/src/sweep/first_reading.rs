//! Reads a task for the first time.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Candidate, Sweep, TaskOutcome, without_due};
use crate::client::{CvpError, Priority};
use crate::gate::{Evidence, Reading, Reason, Verdict, decide};
use crate::wire::{Compliance, Task, TaskDiff};

impl Sweep {
    /// Reads the evidence about a task. Returns a candidate if only the second reading is missing; otherwise settles the task.
    pub(super) async fn read_first(
        self: Arc<Self>,
        task: Result<Task, CvpError>,
    ) -> Result<Option<Candidate>, CvpError> {
        let task = task?;
        if self.stopped() {
            self.settle(&task, None, TaskOutcome::kept(BTreeSet::from([Reason::Stopped])));
            return Ok(None);
        }
        let compliance = self.context.cvp.compliance(task.device(), Priority::Normal).await;
        let (at, now) = (tokio::time::Instant::now(), self.now());
        let code = compliance
            .as_ref()
            .ok()
            .and_then(|compliance| compliance.code.get().cloned());
        let reasons = self.reasons_to_keep(&task, compliance.as_ref().ok(), Some(&TaskDiff::Absent));
        let is_final = |reason: &Reason| !matches!(reason, Reason::SecondReadingDue | Reason::TaskDiffAbsent);
        let reasons: BTreeSet<Reason> = reasons.into_iter().filter(is_final).collect();
        if !reasons.is_empty() {
            let error = compliance.err().map(|error| error.to_string());
            self.settle(&task, code, TaskOutcome::Kept { reasons, error });
            return Ok(None);
        }
        // Requested last, because the device's check alone keeps most tasks.
        let diff = self
            .context
            .cvp
            .task_diff(&task.task_id(), Priority::Normal)
            .await;
        let reasons = self.reasons_to_keep(&task, compliance.as_ref().ok(), diff.as_ref().ok());
        match code {
            Some(code) if reasons.iter().eq([&Reason::SecondReadingDue]) => {
                let reading = Reading { task, code, at: now };
                Ok(Some(Candidate { reading, at }))
            }
            code => {
                let reasons = without_due(reasons);
                let error = diff.err().map(|error| error.to_string());
                self.settle(&task, code, TaskOutcome::Kept { reasons, error });
                Ok(None)
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
            attachment: self.attachment(task),
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
