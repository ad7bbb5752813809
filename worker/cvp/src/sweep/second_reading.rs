//! Reads a task a second time, cancels it, and checks the result.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::task_sweep::{Candidate, Settled, TaskSweep, attachment, without_due};
use super::{Afterwards, Failure, TaskOutcome};
use crate::ComplianceCode;
use crate::client::{CvpError, Priority};
use crate::gate::{ChangeControlPolicy, Evidence, Reason, Verdict, decide};
use crate::wire::{ChangeControls, Task, TaskId};

/// The answer that is reported for a cancel whose own answer was lost.
const ANSWER_LOST: &str = "the answer was lost; the task is Cancelled";

/// The result of the second reading.
enum SecondReading {
    Cancel,
    Ended(TaskOutcome),
}

impl TaskSweep {
    /// Reads a candidate again, and cancels it if it is still empty. `on_device` is the number of listed tasks of its device.
    pub(super) async fn read_second(&self, candidate: &Candidate, on_device: usize) -> Settled {
        let mut code = Some(candidate.reading.code.clone());
        let outcome = self.outcome_of(candidate, on_device, &mut code).await;
        Settled { code, outcome }
    }

    async fn outcome_of(
        &self,
        candidate: &Candidate,
        on_device: usize,
        code: &mut Option<ComplianceCode>,
    ) -> TaskOutcome {
        let task = &candidate.reading.task;
        if on_device > 1 {
            return TaskOutcome::kept(BTreeSet::from([Reason::SeveralTasks]));
        }
        tokio::select! {
            () = sleep_until(candidate.at + self.options.policy.reading_gap) => {}
            () = self.options.stop.cancelled() => {}
        }
        if self.stopped() {
            return TaskOutcome::kept(BTreeSet::from([Reason::Stopped]));
        }
        // The note is written before the second reading, so that the cancel follows the reading at once.
        let (noted, mut controls) = futures_util::join!(self.write_note(candidate), self.fresh_controls());
        if let Err(end) = noted {
            return end;
        }
        let mut lost = None;
        for _ in 0..self.options.confirm.cancels.max(1) {
            if lost.is_some() {
                controls = self.fresh_controls().await;
            }
            let may_be_ours = candidate.may_be_ours || lost.is_some();
            match self
                .read_again(candidate, on_device, code, controls.as_deref(), may_be_ours)
                .await
            {
                SecondReading::Ended(outcome) => return outcome,
                SecondReading::Cancel if self.options.dry_run => {
                    return TaskOutcome::kept(BTreeSet::from([Reason::DryRun]));
                }
                SecondReading::Cancel => {}
            }
            match self.cancel(task).await {
                Ok(outcome) => return outcome,
                Err(error) => lost = Some(error),
            }
        }
        TaskOutcome::Failed {
            failure: Failure::Lost,
            error: lost.map_or_else(String::new, |error| error.to_string()),
        }
    }

    /// Writes a note on the task that explains its cancellation to users of CloudVision.
    async fn write_note(&self, candidate: &Candidate) -> Result<(), TaskOutcome> {
        if self.options.dry_run {
            return Ok(());
        }
        let (id, code) = (candidate.reading.task.task_id(), &candidate.reading.code);
        let text = format!(
            "{}: found empty (compliance code {}); cancelled if the second reading confirms it",
            self.options.author, code
        );
        let Err(error) = self.cvp.note(&id, &text).await else {
            return Ok(());
        };
        // The note may fail because the task ended meanwhile.
        match self.cvp.task(&id).await {
            Ok(now) => match ended(now.as_ref()) {
                Some(status) => Err(TaskOutcome::Gone { status }),
                None => Err(failed(Failure::Note, &error)),
            },
            Err(_) => Err(failed(Failure::Note, &error)),
        }
    }

    /// Reads all evidence again and decides. If a cancel may have been sent before, a cancelled task counts as cancelled by this
    /// sweep.
    async fn read_again(
        &self,
        candidate: &Candidate,
        tasks_on_device: usize,
        code: &mut Option<ComplianceCode>,
        controls: Option<&ChangeControls>,
        may_be_ours: bool,
    ) -> SecondReading {
        let (id, cvp) = (candidate.reading.task.task_id(), &self.cvp);
        let (task, compliance, diff) = futures_util::join!(
            cvp.task(&id),
            cvp.compliance(candidate.reading.task.device(), Priority::High),
            cvp.task_diff(&id, Priority::High),
        );
        let task = match task {
            Ok(task) => task,
            Err(error) => {
                return SecondReading::Ended(TaskOutcome::Kept {
                    reasons: BTreeSet::from([Reason::TaskUnreadable]),
                    error: Some(error.to_string()),
                });
            }
        };
        let task = match (ended(task.as_ref()), task) {
            (None, Some(task)) => task,
            // The earlier cancel took effect.
            (Some(_), Some(task)) if may_be_ours && task.is("Cancelled") => {
                return SecondReading::Ended(self.check_after_cancel(&task, ANSWER_LOST.to_owned()).await);
            }
            (status, _) => {
                let status = status.unwrap_or_default();
                return SecondReading::Ended(TaskOutcome::Gone { status });
            }
        };
        *code = compliance
            .as_ref()
            .ok()
            .and_then(|compliance| compliance.code.get().cloned());
        let evidence = Evidence {
            task: &task,
            compliance: compliance.as_ref().ok(),
            diff: diff.as_ref().ok(),
            attachment: attachment(controls, &task),
            tasks_on_device,
            earlier: Some(&candidate.reading),
        };
        let mut policy = self.options.policy.clone();
        if self.controls_read {
            // They could be read before, so they are required now, whatever is configured.
            policy.change_controls = ChangeControlPolicy::Required;
        }
        match decide(&evidence, &policy, self.now()) {
            Verdict::Cancel if self.stopped() => {
                SecondReading::Ended(TaskOutcome::kept(BTreeSet::from([Reason::Stopped])))
            }
            Verdict::Cancel => SecondReading::Cancel,
            Verdict::Keep(reasons) => {
                let error = compliance.err().or(diff.err()).map(|error| error.to_string());
                let reasons = without_due(reasons);
                SecondReading::Ended(TaskOutcome::Kept { reasons, error })
            }
        }
    }

    /// Reads the change controls again. If the first reading of them failed, they are not read again: either all tasks are kept, or
    /// the policy does not require them.
    async fn fresh_controls(&self) -> Option<Arc<ChangeControls>> {
        if !self.controls_read {
            debug_assert_eq!(
                self.options.policy.change_controls,
                ChangeControlPolicy::Unavailable
            );
            return None;
        }
        let read = async || self.cvp.change_controls(Priority::High).await;
        self.controls.0.get(read).await
    }

    /// Cancels a task and waits until it ended.
    ///
    /// # Errors
    /// If the answer was lost and the task is still pending.
    async fn cancel(&self, task: &Task) -> Result<TaskOutcome, CvpError> {
        let id = task.task_id();
        let (error, wait) = match self.cvp.cancel(&id).await {
            Ok(answer) => return Ok(self.confirm(task, answer).await),
            Err(error) if error.may_have_taken_effect() => (error, self.options.confirm.lost),
            Err(error) => (error, Duration::ZERO),
        };
        // The cancel is not repeated; the task is read instead.
        match self.wait_for_end(&id, wait).await {
            EndState::Cancelled if error.may_have_taken_effect() => {
                Ok(self.check_after_cancel(task, ANSWER_LOST.to_owned()).await)
            }
            EndState::Cancelled => Ok(TaskOutcome::Gone {
                status: "Cancelled".to_owned(),
            }),
            EndState::Ended(status) => Ok(TaskOutcome::Gone { status }),
            EndState::Pending if error.may_have_taken_effect() => Err(error),
            EndState::Pending | EndState::Unreadable if !error.may_have_taken_effect() => {
                Ok(failed(Failure::Refused, &error))
            }
            EndState::Pending | EndState::Unreadable => Ok(failed(Failure::Lost, &error)),
        }
    }

    async fn confirm(&self, task: &Task, answer: String) -> TaskOutcome {
        let unconfirmed = |error: String| TaskOutcome::Failed {
            failure: Failure::Unconfirmed,
            error,
        };
        match self
            .wait_for_end(&task.task_id(), self.options.confirm.deadline)
            .await
        {
            EndState::Cancelled => self.check_after_cancel(task, answer).await,
            EndState::Ended(status) => unconfirmed(format!(
                "CloudVision answered {answer:?}, but the task ended as {status}; check it in CloudVision"
            )),
            EndState::Pending => unconfirmed(format!(
                "CloudVision answered {answer:?}, but the task is not Cancelled after {} s; check it in CloudVision",
                self.options.confirm.deadline.as_secs()
            )),
            EndState::Unreadable => unconfirmed(format!(
                "CloudVision answered {answer:?}, but the task cannot be read any more; check it in CloudVision"
            )),
        }
    }

    /// Reads a task repeatedly until it ended, or until the timeout.
    pub(super) async fn wait_for_end(&self, id: &TaskId, timeout: Duration) -> EndState {
        let deadline = Instant::now() + timeout;
        let mut pause = self.options.confirm.first;
        loop {
            let seen = match self.cvp.task(id).await {
                Ok(Some(task)) if task.is("Cancelled") => return EndState::Cancelled,
                Ok(task) => match ended(task.as_ref()) {
                    Some(status) => return EndState::Ended(status),
                    None => EndState::Pending,
                },
                Err(_) => EndState::Unreadable,
            };
            if Instant::now() + pause > deadline {
                return seen;
            }
            sleep(pause).await;
            pause = (pause * 2).min(self.options.confirm.most);
        }
    }

    /// Checks after the cancel whether the device is still compliant.
    pub(super) async fn check_after_cancel(&self, task: &Task, answer: String) -> TaskOutcome {
        let compliance = self.cvp.compliance(task.device(), Priority::High).await;
        let code = compliance
            .ok()
            .and_then(|compliance| compliance.code.get().cloned());
        let afterwards = self.afterwards(code.as_ref());
        if afterwards == Afterwards::NoLongerCompliant {
            tracing::error!(
                cvp.task = %task.task_id(),
                device.hostname = task.details.get().map_or("", |details| details.hostname.text()),
                code = code.as_ref().map_or("", ComplianceCode::as_str),
                "a device is no longer compliant after its task was cancelled; CloudVision does not create a new task by itself"
            );
        }
        TaskOutcome::Cancelled { answer, afterwards }
    }
}

/// The state of a task after a wait for its end.
pub(super) enum EndState {
    Cancelled,
    /// It ended in this other status, or does not exist any more.
    Ended(String),
    Pending,
    Unreadable,
}

/// The final status of a task; `None` if it can still be cancelled.
pub(super) fn ended(task: Option<&Task>) -> Option<String> {
    let Some(task) = task else {
        return Some("unknown".to_owned());
    };
    let ended = task.is("Cancelled") || task.is("Completed");
    ended.then(|| task.status.text().to_owned())
}

fn failed(failure: Failure, error: &CvpError) -> TaskOutcome {
    TaskOutcome::Failed {
        failure,
        error: error.to_string(),
    }
}
