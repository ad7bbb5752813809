//! One running element: the provider is contained, told to stop, and awaited for the grace time; its output is bounded.

use std::io::{self, Write};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use lockstep_execution::{Entity, Provider, StepDone, StepFailure, StepRun, TargetDevice, or_empty};
use lockstep_protocol::results::ElementFinished;
use lockstep_protocol::{ElementOutcome, ElementState, Level};
use lockstep_store::{CandidateElement, ElementDevice, ElementEnd, ExecutionRow, Halt, NewFact};
use serde_json::Value;

use super::ExecutionContext;
use super::running::Told;
use crate::runtime::panic_text;

/// The most bytes that the result of an element may have, as JSON: data and facts together.
const MAX_OUTPUT: usize = 16 * 1024 * 1024;
/// The most bytes of a message for people. Longer ones are cut.
const MAX_MESSAGE: usize = 64 * 1024;

/// An element that this worker runs.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) candidate: CandidateElement,
    pub(super) execution: Arc<ExecutionRow>,
    pub(super) provider: Arc<dyn Provider>,
}

impl Element {
    /// The attempt that runs, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.candidate.attempts + 1
    }

    /// Runs the element to its end. `None` if it is left to whoever finds its lease expired.
    pub(super) async fn run(&self, context: &ExecutionContext, told: &Told) -> Option<ElementEnd> {
        let outcome = self.outcome(context, told).await;
        let repeatable = self.provider.properties().repeatable;
        let end = end_of(outcome, told.why(), repeatable)?;
        let success = self.provider.properties().success_message;
        Some(bounded(self.row(end, success)))
    }

    async fn outcome(&self, context: &ExecutionContext, told: &Told) -> Outcome {
        let entity = match self.entity() {
            Ok(entity) => entity,
            Err(failure) => return Outcome::Failed(failure),
        };
        let request = &self.execution.request;
        let (arguments, run_arguments) = (
            or_empty(&request.task_arguments),
            or_empty(&request.requested.arguments),
        );
        let run = StepRun {
            entity: &entity,
            above: &[],
            pre_run: &Value::Null,
            below: &[],
            results: &Nothing,
            entities: &Nothing,
            dry_run: request.requested.dry_run,
            arguments: &arguments,
            run_arguments: &run_arguments,
            cancel: told.cancel(),
            devices: &*context.devices,
        };
        let running = AssertUnwindSafe(self.provider.run_on_device(&run)).catch_unwind();
        tokio::pin!(running);
        let options = &context.options;
        let ended = tokio::select! {
            biased;
            ended = running.as_mut() => Some(ended),
            () = told.cancel().cancelled() => None,
            () = tokio::time::sleep(options.element_timeout) => {
                told.tell(Why::TimedOut);
                None
            }
        };
        let ended = match ended {
            Some(ended) => Some(ended),
            None => tokio::time::timeout(options.stop_grace, running).await.ok(),
        };
        match ended {
            Some(Ok(Ok(done))) => Outcome::Done(done),
            Some(Ok(Err(failure))) => Outcome::Failed(failure),
            Some(Err(panic)) => Outcome::Panicked(panic_text(&*panic)),
            None => Outcome::Dropped,
        }
    }

    fn entity(&self) -> Result<Entity, StepFailure> {
        let candidate = &self.candidate;
        Ok(Entity {
            level: Level::Device,
            id: candidate.entity,
            name: candidate.name.clone(),
            device: candidate.device.as_ref().map(target).transpose()?,
            item: candidate.item.clone(),
        })
    }

    /// The result about its end.
    pub(super) fn finished(&self, end: &ElementEnd) -> Option<ElementFinished> {
        let candidate = &self.candidate;
        Some(ElementFinished {
            execution: self.execution.id,
            entity_type: candidate.entity_type,
            entity: candidate.entity,
            hostname: candidate.device.as_ref().map(|device| device.hostname.clone()),
            state: end.state,
            outcome: end.state.outcome()?,
            reason: end.reason.clone(),
            message: end.message.clone(),
            changed: end.changed,
            diff: None,
            change_score: None,
        })
    }

    fn row(&self, end: End, success: Option<&str>) -> ElementEnd {
        let done = end.state == ElementState::Successful;
        ElementEnd {
            number: self.candidate.number,
            attempt: self.attempt(),
            state: end.state,
            next: None,
            reason: end.reason.map(str::to_owned),
            message: end
                .message
                .or_else(|| success.filter(|_| done).map(str::to_owned)),
            changed: end.changed,
            data: end.data,
            results: Vec::new(),
            checks: Vec::new(),
            items: Vec::new(),
            facts: end
                .facts
                .into_iter()
                .map(|(key, value)| NewFact {
                    entity_type: self.candidate.entity_type,
                    entity: self.candidate.entity,
                    key,
                    value,
                })
                .collect(),
        }
    }
}

/// Part worker: replaced by what the store knows.
#[derive(Debug)]
struct Nothing;

#[async_trait::async_trait]
impl lockstep_execution::cycle::Results for Nothing {
    async fn page(
        &self,
        _: Level,
        _: Option<u64>,
        _: Option<u64>,
    ) -> Result<Vec<lockstep_execution::CycleResult>, String> {
        Ok(Vec::new())
    }
}

#[async_trait::async_trait]
impl lockstep_execution::EntityData for Nothing {
    async fn entity(&self, _: lockstep_protocol::EntityType, _: u64) -> Result<Value, String> {
        Ok(Value::Null)
    }

    async fn checks_below(
        &self,
        _: lockstep_protocol::EntityType,
        _: u64,
        _: lockstep_protocol::EntityType,
        _: &str,
    ) -> Result<Vec<(String, Option<lockstep_execution::cycle::CheckResult>)>, String> {
        Ok(Vec::new())
    }
}

/// How the provider ended.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Done(StepDone),
    Failed(StepFailure),
    Panicked(String),
    /// It did not end within the grace time.
    Dropped,
}

/// Why an element is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Its execution begins nothing more, and running elements are to stop.
    Halted(Halt),
    /// It ran for too long.
    TimedOut,
    /// Its lease is lost, or may be.
    Lost,
    /// The worker stops.
    WorkerStops,
}

/// How an element ends, before it is a row.
#[derive(Clone, Debug, PartialEq)]
struct End {
    state: ElementState,
    reason: Option<&'static str>,
    message: Option<String>,
    changed: bool,
    data: Value,
    facts: Vec<(String, Value)>,
}

/// The rule: how an element ends whose provider ended so, and which was told to stop for this reason. `None`: it is repeated by whoever
/// finds its lease expired. What was done is done, whatever it was told.
fn end_of(outcome: Outcome, why: Option<Why>, repeatable: bool) -> Option<End> {
    let failure = match outcome {
        Outcome::Done(done) => {
            return Some(End {
                state: ElementState::Successful,
                reason: None,
                message: done.message,
                changed: done.changed,
                data: done.data,
                facts: done.facts,
            });
        }
        Outcome::Panicked(text) => {
            let message = format!("the provider panicked: {text}");
            return Some(failed(StepFailure::new("crashed", message)));
        }
        Outcome::Failed(failure) => Some(failure),
        Outcome::Dropped => None,
    };
    let (reason, message) = match why {
        None => return failure.map(failed),
        Some(Why::Lost | Why::WorkerStops) if repeatable => return None,
        Some(Why::Lost) => (
            "interrupted",
            "its worker lost the connection to the store while it ran",
        ),
        Some(Why::WorkerStops) => ("interrupted", "its worker was stopped while it ran"),
        Some(Why::TimedOut) => (
            "timed-out",
            "it ran for longer than executions.element_timeout allows",
        ),
        Some(Why::Halted(Halt::Deadline)) => {
            ("deadline", "the deadline of the execution passed while it ran")
        }
        Some(Why::Halted(halt)) => (halt.as_str(), "its execution was cancelled while it ran"),
    };
    let told = StepFailure::new(reason, message);
    Some(failed(match failure {
        None => told,
        Some(failure) => StepFailure {
            message: format!("{message}: {}", failure.message),
            reason,
            ..failure
        },
    }))
}

fn failed(failure: StepFailure) -> End {
    let is_failure = failure.state.outcome() == Some(ElementOutcome::Failed);
    End {
        state: if is_failure {
            failure.state
        } else {
            ElementState::Failed
        },
        reason: Some(failure.reason),
        message: Some(failure.message),
        changed: failure.changed,
        data: failure.data,
        facts: Vec::new(),
    }
}

/// The same end, if its output is not too large; else a failure without output.
fn bounded(mut end: ElementEnd) -> ElementEnd {
    if let Some(message) = &mut end.message
        && message.len() > MAX_MESSAGE
    {
        message.truncate(message.floor_char_boundary(MAX_MESSAGE));
        message.push('…');
    }
    if fits(&end) {
        return end;
    }
    let message = format!(
        "the output of the provider has more than {MAX_OUTPUT} bytes, so it is not kept; let it return less"
    );
    ElementEnd {
        state: ElementState::Failed,
        reason: Some("too-large".to_owned()),
        message: Some(message),
        data: Value::Null,
        facts: Vec::new(),
        ..end
    }
}

fn fits(end: &ElementEnd) -> bool {
    let mut bound = Bound { left: MAX_OUTPUT };
    let facts = end.facts.iter();
    let mut values = facts.map(|fact| &fact.value).chain([&end.data]);
    let keys: usize = end.facts.iter().map(|fact| fact.key.len()).sum();
    keys <= MAX_OUTPUT && values.all(|value| serde_json::to_writer(&mut bound, value).is_ok())
}

/// Counts what is written, up to a bound.
struct Bound {
    left: usize,
}

impl Write for Bound {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(bytes.len());
        self.left = left.ok_or_else(|| io::Error::other("the output is too large"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn target(device: &ElementDevice) -> Result<TargetDevice, StepFailure> {
    let groups = device.groups.iter().map(ToString::to_string).collect();
    TargetDevice::new(
        device.hostname.to_string(),
        device.management_ip,
        device.platform.clone(),
        groups,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn failure() -> StepFailure {
        StepFailure {
            state: ElementState::PartialFailed,
            changed: true,
            data: json!({"so": "far"}),
            ..StepFailure::new("unreachable", "no route")
        }
    }

    #[test]
    fn an_element_ends_by_what_its_provider_did_and_why_it_was_told_to_stop() {
        let done = || Outcome::Done(StepDone::default());
        let failed = || Outcome::Failed(failure());
        let panicked = || Outcome::Panicked("oh".to_owned());
        let cancelled = Some(Why::Halted(Halt::Cancelled));
        let deadline = Some(Why::Halted(Halt::Deadline));
        let all = [
            None,
            cancelled,
            deadline,
            Some(Why::TimedOut),
            Some(Why::Lost),
            Some(Why::WorkerStops),
        ];
        for why in all {
            let end = end_of(done(), why, true).unwrap();
            assert_eq!(
                (end.state, end.reason),
                (ElementState::Successful, None),
                "{why:?}"
            );
            let end = end_of(panicked(), why, true).unwrap();
            assert_eq!(
                (end.state, end.reason),
                (ElementState::Failed, Some("crashed")),
                "{why:?}"
            );
        }
        let table = [
            // outcome, why, repeatable, reason
            (failed(), None, true, Some("unreachable")),
            (failed(), cancelled, true, Some("cancelled")),
            (failed(), deadline, false, Some("deadline")),
            (failed(), Some(Why::TimedOut), true, Some("timed-out")),
            (failed(), Some(Why::Lost), true, None),
            (failed(), Some(Why::Lost), false, Some("interrupted")),
            (failed(), Some(Why::WorkerStops), true, None),
            (failed(), Some(Why::WorkerStops), false, Some("interrupted")),
            (Outcome::Dropped, cancelled, true, Some("cancelled")),
            (Outcome::Dropped, Some(Why::TimedOut), false, Some("timed-out")),
            (Outcome::Dropped, Some(Why::Lost), true, None),
            (
                Outcome::Dropped,
                Some(Why::WorkerStops),
                false,
                Some("interrupted"),
            ),
        ];
        for (outcome, why, repeatable, expected) in table {
            let kept = outcome != Outcome::Dropped;
            let end = end_of(outcome, why, repeatable);
            let reason = end.as_ref().and_then(|end| end.reason);
            assert_eq!(reason, expected, "{why:?} {repeatable}");
            if let Some(end) = end {
                assert_eq!(end.changed, kept, "what it says so far is kept");
                assert_eq!(end.data != Value::Null, kept);
            }
        }
    }

    #[test]
    fn a_failure_in_a_state_that_is_none_is_one() {
        for state in ElementState::ALL {
            let end = failed(StepFailure { state, ..failure() });
            assert_eq!(end.state.outcome(), Some(ElementOutcome::Failed), "{state}");
        }
    }

    #[test]
    fn output_that_is_too_large_is_a_failure_that_says_so() {
        let end = |data: Value, facts: Vec<NewFact>| ElementEnd {
            number: 1,
            attempt: 1,
            state: ElementState::Successful,
            next: None,
            reason: None,
            message: Some("ä".repeat(MAX_MESSAGE)),
            changed: true,
            data,
            results: Vec::new(),
            facts,
            checks: Vec::new(),
            items: Vec::new(),
        };
        // Two bytes are the quotes.
        let fits = "x".repeat(MAX_OUTPUT - 2);
        let kept = bounded(end(fits.clone().into(), Vec::new()));
        assert_eq!(kept.state, ElementState::Successful);
        assert_eq!(
            kept.message.map(|message| message.len()),
            Some(MAX_MESSAGE + '…'.len_utf8())
        );
        let fact = NewFact {
            entity_type: lockstep_protocol::EntityType::Device,
            entity: 1,
            key: "version".to_owned(),
            value: 1.into(),
        };
        let refused = bounded(end(fits.into(), vec![fact]));
        assert_eq!(refused.reason.as_deref(), Some("too-large"));
        assert_eq!((refused.state, refused.data), (ElementState::Failed, Value::Null));
        assert!(refused.changed && refused.facts.is_empty());
    }
}
