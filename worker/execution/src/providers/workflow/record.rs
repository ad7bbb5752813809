//! What became of the steps of a workflow, and what follows from it. Pure.

use lockstep_protocol::ExecutionState;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::arguments::Step;
use crate::{Child, StepFailure};

/// A step, as the results of the workflow tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Its number, from 1.
    pub(super) step: usize,
    pub(super) name: String,
    pub(super) task: String,
    /// The number of its execution. `None` if it has none.
    pub(super) execution: Option<u64>,
    pub(super) state: StepState,
    pub(super) reason: Option<String>,
    pub(super) elements: u64,
    pub(super) done: u64,
    pub(super) failed: u64,
    pub(super) skipped: u64,
    /// Whether something kept elements from beginning.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) halted: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum StepState {
    /// Its condition is not fulfilled, or it names nothing.
    Skipped,
    /// It could not begin.
    Refused,
    /// Its execution is in this state.
    #[serde(untagged)]
    Execution(ExecutionState),
}

impl Record {
    pub(super) fn without_execution(
        index: usize,
        step: &Step,
        state: StepState,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            step: index + 1,
            name: step.name(),
            task: step.task.to_string(),
            execution: None,
            state,
            reason: Some(reason.into()),
            elements: 0,
            done: 0,
            failed: 0,
            skipped: 0,
            halted: false,
        }
    }

    pub(super) fn of_child(index: usize, step: &Step, child: &Child) -> Self {
        Self {
            step: index + 1,
            name: step.name(),
            task: child.task.clone(),
            execution: Some(child.execution),
            state: StepState::Execution(child.state),
            reason: child.reason.clone(),
            elements: child.elements,
            done: child.done,
            failed: child.failed,
            skipped: child.skipped,
            halted: child.halted,
        }
    }

    /// A step that begins now.
    pub(super) fn begun(index: usize, step: &Step, execution: u64) -> Self {
        Self {
            execution: Some(execution),
            reason: None,
            ..Self::without_execution(index, step, StepState::Execution(ExecutionState::Pending), "")
        }
    }

    /// Whether the workflow waits for it.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, StepState::Execution(state) if !state.is_final())
    }
}

/// What is known about a step from earlier runs of the element. `None`: it is to be decided now.
pub(super) fn known(index: usize, step: &Step, begun: &[Child], written: &[Record]) -> Option<Record> {
    let of = |child: &Child| usize::try_from(child.step).unwrap_or(usize::MAX);
    if let Some(child) = begun.iter().find(|child| of(child) == index) {
        return Some(Record::of_child(index, step, child));
    }
    let written = written.get(index).filter(|record| record.step == index + 1);
    match written {
        Some(record) if record.execution.is_none() => return Some(record.clone()),
        Some(record) => {
            let mut gone = record.clone();
            gone.state = StepState::Refused;
            gone.reason = Some("its execution was deleted before the workflow ended".to_owned());
            return Some(gone);
        }
        None => {}
    }
    // The worker crashed after it had decided to go on.
    let is_over = begun.iter().any(|child| of(child) > index);
    is_over.then(|| {
        Record::without_execution(
            index,
            step,
            StepState::Skipped,
            "it did not begin before the next one",
        )
    })
}

/// The failure with which a step stops the workflow, if it does.
pub(super) fn stops(step: &Step, record: &Record) -> Option<StepFailure> {
    if step.continue_on_failure {
        return None;
    }
    let (number, name) = (record.step, &record.name);
    let most = step.limits.and_then(|limits| limits.max_failed_percent);
    let too_many = most.is_some_and(|most| record.failed * 100 > record.elements * u64::from(most));
    let state = match record.state {
        StepState::Skipped | StepState::Execution(ExecutionState::Successful) => return None,
        StepState::Execution(ExecutionState::PartialFailed) if !record.halted && !too_many => return None,
        StepState::Refused => {
            let reason = record.reason.as_deref().unwrap_or_default();
            let message = format!("step {number} ({name}) did not begin: {reason}");
            return Some(StepFailure::new("step-refused", message));
        }
        StepState::Execution(state) => state,
    };
    let Record {
        done,
        failed,
        skipped,
        ..
    } = record;
    let why = record
        .reason
        .as_ref()
        .map(|reason| format!("; {reason}"))
        .unwrap_or_default();
    let execution = record.execution.unwrap_or_default();
    let message = format!(
        "step {number} ({name}) ended as {state}: {done} done, {failed} failed, {skipped} skipped{why}; \
         `lockstep executions show {execution}` shows it"
    );
    Some(StepFailure::new("step-failed", message))
}

/// The data of the workflow.
pub(super) fn data(records: &[Record]) -> Value {
    json!({ "steps": records })
}

/// The steps in the data of the workflow; none if it is something else.
pub(super) fn records(data: &Value) -> Vec<Record> {
    let steps = data.get("steps").cloned().unwrap_or_default();
    serde_json::from_value(steps).unwrap_or_default()
}

/// What expressions see as `steps`.
pub(super) fn by_name(records: &[Record]) -> Map<String, Value> {
    let value = |record: &Record| (record.name.clone(), json!(record));
    records.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use ExecutionState::{Aborted, Failed, PartialFailed, Pending, Running, Successful};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "values of tables")]
    fn step(more: Value) -> Step {
        let mut step = json!({"task": "upgrade"});
        for (name, value) in more.as_object().cloned().unwrap_or_default() {
            step[name] = value;
        }
        serde_json::from_value(step).expect("a step")
    }

    fn child(step: u32, state: ExecutionState) -> Child {
        Child {
            step,
            execution: 10 + u64::from(step),
            task: "upgrade".to_owned(),
            state,
            reason: None,
            halted: false,
            elements: 10,
            done: 7,
            failed: 3,
            skipped: 0,
        }
    }

    #[test]
    fn a_failed_step_stops_the_workflow_unless_it_says_otherwise() {
        let halted = Child {
            halted: true,
            ..child(0, PartialFailed)
        };
        let table = [
            (json!({}), child(0, Successful), None),
            (json!({}), child(0, PartialFailed), None),
            (json!({}), halted.clone(), Some("step-failed")),
            (json!({}), child(0, Failed), Some("step-failed")),
            (json!({}), child(0, Aborted), Some("step-failed")),
            (json!({"continue_on_failure": true}), child(0, Failed), None),
            (json!({"continue_on_failure": true}), halted, None),
            (
                json!({"limits": {"max_failed_percent": 30}}),
                child(0, PartialFailed),
                None,
            ),
            (
                json!({"limits": {"max_failed_percent": 29}}),
                child(0, PartialFailed),
                Some("step-failed"),
            ),
        ];
        for (more, child, expected) in table {
            let step = step(more.clone());
            let found = stops(&step, &Record::of_child(0, &step, &child));
            assert_eq!(
                found.as_ref().map(|failure| &*failure.reason),
                expected,
                "{more} {child:?}"
            );
        }
        let step = step(json!({}));
        let record = |state| Record::without_execution(1, &step, state, "no task is named upgrade");
        assert_eq!(stops(&step, &record(StepState::Skipped)), None);
        let refused = stops(&step, &record(StepState::Refused)).expect("a failure");
        assert_eq!(
            refused.message,
            "step 2 (upgrade) did not begin: no task is named upgrade"
        );
    }

    #[test]
    fn what_was_decided_before_is_not_decided_again() {
        let step = step(json!({}));
        let states = |index, begun: &[Child], written: &[Record]| {
            known(index, &step, begun, written).map(|record| (record.state, record.execution))
        };
        let skipped = Record::without_execution(0, &step, StepState::Skipped, "when");
        let of_child = |state| Some((StepState::Execution(state), Some(11)));
        assert_eq!(states(0, &[], &[]), None);
        assert_eq!(
            states(0, &[], std::slice::from_ref(&skipped)),
            Some((StepState::Skipped, None))
        );
        assert_eq!(
            states(1, &[child(1, Running)], std::slice::from_ref(&skipped)),
            of_child(Running)
        );
        // The newer one counts.
        let before = Record::begun(1, &step, 11);
        assert!(before.is_open());
        assert_eq!(
            states(1, &[child(1, Failed)], &[skipped.clone(), before.clone()]),
            of_child(Failed)
        );
        // Killed after the step was decided, and before that was written.
        assert_eq!(
            states(0, &[child(1, Pending)], &[]),
            Some((StepState::Skipped, None))
        );
        // Its execution was deleted.
        assert_eq!(
            states(1, &[], &[skipped, before]),
            Some((StepState::Refused, Some(11)))
        );
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let step = step(json!({"name": "first"}));
        let written = vec![
            Record::of_child(
                0,
                &step,
                &Child {
                    halted: true,
                    ..child(0, PartialFailed)
                },
            ),
            Record::without_execution(1, &step, StepState::Refused, "because"),
            Record::begun(2, &step, 7),
        ];
        let data = data(&written);
        assert_eq!(data["steps"][0]["state"], "PARTIAL_FAILED");
        assert_eq!(data["steps"][1]["state"], "REFUSED");
        assert_eq!(records(&data), written);
        assert_eq!(records(&Value::Null), []);
        assert_eq!(by_name(&written[..1])["first"]["execution"], 10);
    }
}
