use std::borrow::Cow;

use lockstep_device::Credentials;
use lockstep_execution::{CycleResult, CycleStep, StepDone, StepFailure, StepResult, StepRun, TargetDevice};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::document::{
    AboveDocument, DoneDocument, FailedDocument, FromProgram, LoginDocument, PROTOCOL, ResultDocument,
    ToProgram,
};
use crate::process::Process;
use crate::text::Secrets;
use crate::{ProcessError, Program, StepName};

/// The most characters of a reason.
const MAX_REASON: usize = 63;
/// The most facts of a step, and items of step 1.
const MAX_FACTS: usize = 1000;
/// The most characters of the key of a fact, or of the name of an item.
const MAX_KEY: usize = 255;

/// What a worker and a program say to each other while a unit runs.
#[derive(Debug)]
pub(crate) struct Conversation {
    process: Process,
    /// Whether the program said that it is ready.
    ready: bool,
    /// The id of the last step.
    step: u64,
}

impl Conversation {
    /// Starts the program, and tells it what all steps of the unit have in common.
    pub(crate) fn start(
        program: &Program,
        provider: &str,
        run: &StepRun<'_>,
        device: Option<&TargetDevice>,
        login: Option<&Credentials>,
    ) -> Result<Self, ProcessError> {
        let secrets = login.into_iter().flat_map(|login| {
            let enable = login.enable_password.clone();
            [Some(login.password.clone()), enable].into_iter().flatten()
        });
        let mut process = Process::start(program, "run", Secrets::new(secrets))?.named(provider);
        process.send(&ToProgram::Begin {
            protocol: PROTOCOL,
            provider,
            element: run.element.element,
            execution: run.element.execution,
            attempt: run.element.attempt,
            dry_run: run.dry_run,
            arguments: run.arguments,
            run_arguments: run.run_arguments,
            device: device.map(Into::into),
            login: login.map(|login| LoginDocument {
                username: &login.username,
                password: login.password.expose_secret(),
                enable_password: login.enable_password.as_ref().map(ExposeSecret::expose_secret),
            }),
        })?;
        Ok(Self {
            process,
            ready: false,
            step: 0,
        })
    }

    /// Lets the program run a step.
    ///
    /// # Errors
    /// The program did something wrong. It is of no use any more: see [`Self::stop`].
    pub(crate) async fn step(
        &mut self,
        step: CycleStep,
        run: &StepRun<'_>,
    ) -> Result<StepResult, ProcessError> {
        if !self.ready {
            self.await_ready(run.cancel).await?;
        }
        self.step += 1;
        self.process.send(&ToProgram::Step {
            id: self.step,
            number: step.number(),
            step: StepName(step),
            entity: run.entity.into(),
            above: run.above.iter().copied().map(AboveDocument::from).collect(),
            pre_run: run.pre_run,
            below: run.below.iter().map(ResultDocument::from).collect(),
        })?;
        loop {
            match self.process.receive(run.cancel).await? {
                FromProgram::Log { level, message } => self.process.log(level, &message),
                FromProgram::ReadResults { level, of, after } => {
                    let page = self
                        .until_stopped(run, run.results.page(level, of, after))
                        .await?;
                    self.answer_results(page)?;
                }
                FromProgram::ReadEntity { entity_type, id } => {
                    let entity = self
                        .until_stopped(run, run.entities.entity(entity_type, id))
                        .await?;
                    self.process.send(&match entity {
                        Ok(entity) => ToProgram::Entity { entity },
                        Err(message) => ToProgram::Refused { message },
                    })?;
                }
                FromProgram::Done(done) if done.id == self.step => return Ok(Ok(self.done(done)?)),
                FromProgram::Failed(failed) if failed.id == self.step => {
                    return Ok(Err(self.failed(failed)?));
                }
                FromProgram::Done(DoneDocument { id, .. })
                | FromProgram::Failed(FailedDocument { id, .. }) => {
                    return Err(self.unexpected(format!("the end of step {id}")));
                }
                FromProgram::Ready { .. } => return Err(self.unexpected("a second ready".to_owned())),
            }
        }
    }

    async fn await_ready(&mut self, cancel: &CancellationToken) -> Result<(), ProcessError> {
        loop {
            match self.process.receive(cancel).await? {
                FromProgram::Log { level, message } => self.process.log(level, &message),
                FromProgram::Ready { protocol: PROTOCOL } => {
                    self.ready = true;
                    return Ok(());
                }
                FromProgram::Ready { protocol } => return Err(ProcessError::Protocol(protocol)),
                _ => {
                    return Err(ProcessError::Unexpected {
                        found: "another document".to_owned(),
                        expected: "ready".to_owned(),
                    });
                }
            }
        }
    }

    async fn until_stopped<F: Future>(&self, run: &StepRun<'_>, read: F) -> Result<F::Output, ProcessError> {
        tokio::select! {
            biased;
            output = read => Ok(output),
            () = run.cancel.cancelled() => Err(ProcessError::Cancelled),
            () = self.process.over() => Err(self.process.timed_out()),
        }
    }

    fn answer_results(&mut self, page: Result<Vec<CycleResult>, String>) -> Result<(), ProcessError> {
        match page {
            Ok(page) => self.process.send(&ToProgram::Results {
                results: page.iter().map(ResultDocument::from).collect(),
            }),
            Err(message) => self.process.send(&ToProgram::Refused { message }),
        }
    }

    fn done(&self, done: DoneDocument) -> Result<StepDone, ProcessError> {
        let items: Vec<_> = done
            .items
            .into_iter()
            .map(|item| (item.name, item.data))
            .collect();
        let names = items.iter().map(|(name, _)| name);
        let fits =
            |name: &String| (1..=MAX_KEY).contains(&name.chars().count()) && !name.contains(char::is_control);
        if done.facts.len() > MAX_FACTS || !done.facts.keys().chain(names).all(fits) {
            let limits = format!(
                "at most {MAX_FACTS} facts, with keys and names of 1 to {MAX_KEY} characters without control characters"
            );
            return Err(ProcessError::Unexpected {
                found: "other facts or items".to_owned(),
                expected: limits,
            });
        }
        Ok(StepDone {
            message: done.message.map(|message| self.process.message(&message)),
            changed: done.changed,
            data: done.data,
            facts: done.facts.into_iter().collect(),
            items,
        })
    }

    fn failed(&self, failed: FailedDocument) -> Result<StepFailure, ProcessError> {
        if !is_reason(&failed.reason) {
            return Err(ProcessError::Unexpected {
                found: "another reason".to_owned(),
                expected: format!(
                    "a reason of lower-case letters, digits and hyphens, at most {MAX_REASON} characters"
                ),
            });
        }
        Ok(StepFailure {
            state: failed.state.into(),
            reason: Cow::Owned(failed.reason),
            message: self.process.message(&failed.message),
            changed: failed.changed,
            data: failed.data,
            parked: None,
        })
    }

    fn unexpected(&self, found: String) -> ProcessError {
        ProcessError::Unexpected {
            found,
            expected: format!("the end of step {}", self.step),
        }
    }

    /// Lets the program end. See [`Process::end`].
    pub(crate) async fn end(self, cancel: &CancellationToken) -> Result<(), ProcessError> {
        self.process.end(cancel).await
    }

    /// Ends the program. See [`Process::stop`].
    pub(crate) async fn stop(self) {
        self.process.stop().await;
    }
}

fn is_reason(reason: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    reason.starts_with(|c: char| c.is_ascii_lowercase())
        && reason.chars().all(fits)
        && reason.len() <= MAX_REASON
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_word_for_programs() {
        let long = "x".repeat(64);
        let table = [
            ("unreachable", true),
            ("no-vlan-7", true),
            ("", false),
            ("7", false),
            ("No", false),
            ("a\0", false),
            (&long, false),
        ];
        for (reason, expected) in table {
            assert_eq!(is_reason(reason), expected, "{reason:?}");
        }
    }
}
