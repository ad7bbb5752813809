use std::time::Duration;

use lockstep_device::{DeviceConnection, DeviceError, SessionName, SessionState};
use lockstep_execution::{StepFailure, StepResult};
use lockstep_protocol::Cause;
use tokio::time::{Instant, timeout, timeout_at};

use super::Run;
use super::contact::{Running, WAIT, sessions};
use crate::decision::{Committed, committed};
use crate::ports::Conclusion;
use crate::report::{Stage, done, lease_lost, stored, written};

/// How often a commit is confirmed whose timer stays.
const CONFIRMATIONS: u32 = 3;

/// How long to wait before a commit is confirmed once more.
const CONFIRM_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Run<'_> {
    /// Commits the open session with a timer, looks at the device over a new connection, confirms, and looks once more.
    ///
    /// A run that is told to stop after the commit goes on, as far as its grace time reaches, because a confirmed change is what was asked
    /// for. Only the lease decides: without it, nothing is confirmed, and the device rolls back.
    pub(super) async fn push(
        &mut self,
        connection: &mut dyn DeviceConnection,
        before: &Running,
    ) -> StepResult {
        let (pushed, remark) = self.commit(connection, before).await?;
        self.report.stage = Stage::Flag;
        let outcome = if self.binding.restores.is_none() {
            self.synchronized(pushed).await
        } else {
            // The flag fell before the commit.
            let conclusion = Conclusion::Accepted {
                configuration_hash: pushed,
            };
            self.conclude(&conclusion).await
        };
        if let Err(failure) = outcome {
            return Err(StepFailure {
                changed: true,
                message: format!(
                    "it was pushed and confirmed, but not flagged; the next run does that: {}",
                    failure.message
                ),
                ..failure
            });
        }
        if let Err(error) = self.worker.services.runs.remove_intent(&self.attempt).await {
            tracing::debug!(%error, "an intent stays; the next run on the device settles it");
        }
        let score = self.report.change_score.unwrap_or_default();
        let remark = remark.map_or_else(String::new, |remark| format!("; {remark}"));
        Ok(done(
            true,
            format!("pushed and confirmed; change score {score:.1}{remark}"),
        ))
    }

    /// Commits and confirms. Returns the hash of what the device runs now, and a remark if it may not have saved it for its next start.
    async fn commit(
        &mut self,
        connection: &mut dyn DeviceConnection,
        before: &Running,
    ) -> Result<(String, Option<String>), StepFailure> {
        let Some(session) = self.open.clone() else {
            return Err(StepFailure::new("no-session", "no session is open"));
        };
        self.report.stage = Stage::Commit;
        self.reload().await?;
        self.admit()?;
        if self.binding.restores.is_some() {
            // Before, not after: whatever happens to this run, the flag never says that an earlier configuration is the intended one.
            self.conclude(&Conclusion::Differs(Cause::ApplyConfig)).await?;
            self.reload().await?;
        }
        let runs = self.worker.services.runs.clone();
        self.intends = true;
        written(
            runs.write_intent(&self.attempt, session.as_str(), &before.text)
                .await,
        )?;
        self.still_running().await?;
        if self.step.cancel.is_cancelled() {
            return Err(StepFailure::new(
                "cancelled",
                "it was told to stop before the commit",
            ));
        }

        self.committed = true;
        let timer = self.worker.options.commit_timer;
        let rolls_back_at = Instant::now() + timer;
        let committing = sessions(connection)?.commit(&session, timer);
        let answer = timeout(timer, committing).await;
        self.answered(answer)?;

        self.report.stage = Stage::ReadBack;
        let pause = tokio::time::sleep(self.worker.options.read_back_pause);
        tokio::select! {
            () = pause => {}
            // It has little time left.
            () = self.step.cancel.cancelled() => {}
        }
        let connecting = timeout_at(rolls_back_at, self.step.devices.connect_anew(self.target()?));
        let mut anew = connecting.await.map_err(|_| timer_is_over())??;
        let reading = timeout_at(rolls_back_at, anew.running_configuration()).await;
        let pushed = Running::of(reading.map_err(|_| timer_is_over())??).hash;
        if pushed == before.hash {
            let message = "it runs the configuration from before the commit: it did not apply the session, or rolled it back";
            return Err(StepFailure::new("rolled-back", message));
        }
        written(runs.complete_intent(&self.attempt, &pushed).await)?;
        let remark = self
            .confirm(anew, &session, &before.hash, &pushed, rolls_back_at)
            .await?;
        Ok((pushed, remark))
    }

    /// The answer to a commit. A refused one changed nothing; after any other error, the session is aborted, whether it is committed or
    /// not.
    fn answered(
        &mut self,
        answer: Result<Result<(), DeviceError>, tokio::time::error::Elapsed>,
    ) -> Result<(), StepFailure> {
        match answer {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                self.committed = error.may_have_run();
                Err(error.into())
            }
            Err(_) => Err(timer_is_over()),
        }
    }

    /// Confirms the commit. Whatever the device answers: what it shows afterwards counts. Returns a remark if it may not be saved.
    async fn confirm(
        &mut self,
        mut connection: Box<dyn DeviceConnection>,
        session: &SessionName,
        before: &str,
        pushed: &str,
        rolls_back_at: Instant,
    ) -> Result<Option<String>, StepFailure> {
        let mut last = String::new();
        for attempt in 1..=CONFIRMATIONS {
            self.report.stage = Stage::Confirm;
            self.still_running().await?;
            // From here on it may be confirmed: nothing is aborted any more.
            self.open = None;
            let confirming = sessions(&mut *connection)?.confirm(session);
            let (answer, not_saved) = match timeout_at(rolls_back_at, confirming).await {
                Ok(Ok(())) => (None, None),
                Ok(Err(DeviceError::NotSaved { reason })) => {
                    let remark = format!("confirmed, not saved: {reason}");
                    (Some(remark.clone()), Some(remark))
                }
                Ok(Err(error)) => (Some(error.to_string()), None),
                Err(_) => (Some(timer_is_over().message), None),
            };
            let said = || {
                let said = answer.as_ref();
                said.map_or_else(String::new, |said| format!("; to the confirmation it {said}"))
            };
            match self.became(&mut connection, session, before, pushed).await {
                Ok(Committed::Confirmed) => return Ok(not_saved.or_else(|| unsure(answer))),
                Ok(Committed::RolledBack) => {
                    let message = format!("it rolled back, and runs the configuration from before{}", said());
                    return Err(StepFailure::new("rolled-back", message));
                }
                Ok(Committed::Replaced) => {
                    let message = format!(
                        "after the confirmation it runs neither what was pushed nor what was there before: something else changed it{}",
                        said()
                    );
                    return Err(StepFailure {
                        changed: true,
                        ..StepFailure::new("replaced", message)
                    });
                }
                Ok(Committed::Waiting) => last = format!("its timer is still pending{}", said()),
                // It said so itself, and nobody can see the contrary.
                Err(_) if not_saved.is_some() => return Ok(not_saved),
                Err(failure) => last = failure.message,
            }
            if attempt < CONFIRMATIONS {
                tokio::time::sleep(CONFIRM_AGAIN_AFTER).await;
            }
        }
        let message = format!(
            "it is not known to be confirmed: {last}; unless it is, it rolls back by itself, and the next run finds out"
        );
        Err(StepFailure::new("not-confirmed", message))
    }

    /// What became of the commit, over the connection, or over a new one if it broke.
    async fn became(
        &self,
        connection: &mut Box<dyn DeviceConnection>,
        session: &SessionName,
        before: &str,
        pushed: &str,
    ) -> Result<Committed, StepFailure> {
        if let Ok(found) = look(&mut **connection, session, before, pushed).await {
            return Ok(found);
        }
        let connecting = timeout(WAIT, self.step.devices.connect_anew(self.target()?));
        *connection = connecting.await.map_err(|_| no_answer())??;
        look(&mut **connection, session, before, pushed).await
    }

    /// Whether this attempt still runs the element.
    async fn still_running(&self) -> Result<(), StepFailure> {
        if stored(self.worker.services.runs.is_running(&self.attempt).await)? {
            Ok(())
        } else {
            Err(lease_lost())
        }
    }
}

/// What the device shows of a commit. The timer is looked at first: once it is gone, what runs does not change by it any more.
async fn look(
    connection: &mut dyn DeviceConnection,
    session: &SessionName,
    before: &str,
    pushed: &str,
) -> Result<Committed, StepFailure> {
    let pending = timeout(WAIT, sessions(connection)?.pending()).await;
    let pending = pending.map_err(|_| no_answer())??;
    let is_timer = |state: SessionState| state == SessionState::PendingTimer;
    let timer = pending
        .iter()
        .any(|pending| pending.name == session.as_str() && is_timer(pending.state));
    let running = timeout(WAIT, connection.running_configuration()).await;
    let running = Running::of(running.map_err(|_| no_answer())??);
    Ok(committed(timer, &running.hash, before, pushed))
}

/// The remark about an answer from which nobody knows whether the configuration is saved.
fn unsure(answer: Option<String>) -> Option<String> {
    answer.map(|said| format!("look whether it is saved for its next start: it {said}"))
}

fn timer_is_over() -> StepFailure {
    StepFailure::new(
        "timed-out",
        "did not answer before its commit timer was over, so it rolled back",
    )
}

fn no_answer() -> StepFailure {
    StepFailure::new("timed-out", format!("did not answer within {} s", WAIT.as_secs()))
}
