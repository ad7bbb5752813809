//! Runs tasks one after the other, each as an execution of its own.

mod arguments;
mod record;

use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::{Map, Value};

use super::read;
use super::template::evaluate;
use super::template_context::{Source, context, input_schema};
use crate::{
    ChildError, ChildExecutions, ChildTargets, CycleStep, NewChild, Parked, Provider, ProviderProperties,
    ProviderType, StepDone, StepFailure, StepResult, StepRun, Steps, TaskOfStep,
};
use arguments::{Arguments, MOST_ENTITIES, NameOrId, Step, schema, tasks};
use record::{Record, StepState, by_name, data, known, records, stops};

/// Runs tasks one after the other.
#[derive(Debug)]
pub struct Workflow(ProviderProperties);

impl Default for Workflow {
    fn default() -> Self {
        Self(ProviderProperties {
            name: "workflow".into(),
            short_description: "Runs tasks one after the other, each as an execution of its own.".into(),
            description:
                "Each step is an execution of its own, with its limits, waves and results; the next one begins when the one before ended. A step \
                 runs on what the workflow was requested for, without the elements that were not done in an earlier such step, or on what \
                 it names. A step of which nothing was done, or that was halted, stops the workflow, unless it says `continue_on_failure`. \
                 A dry run is one of all steps. Cancel, pause and resume of the workflow are those of the step that runs.\n\n\
                 Expressions see `input`, the arguments of the run; `dry_run`; the `fleet`; and `steps`: the earlier steps by their names, each \
                 with `state`, `execution`, `elements`, `done`, `failed` and `skipped`, and with `results`, a list of objects with `name`, \
                 `entity_type`, `state`, `reason`, `changed` and `data`. The syntax is that of Jinja, by the crate minijinja."
                    .into(),
            provider_type: ProviderType::Execute,
            run_on: Some(ExecuteOn::Global),
            run_on_strict: false,
            run_on_all_if_empty: false,
            run_on_result: None,
            facts_for: Vec::new(),
            lane: Lane::Devices,
            success_message: None,
            repeatable: true,
            deprecated: None,
            ui_schema: Some(arguments::ui_schema()),
            run_input_ui_schema: None,
            json_schema: schema(),
            run_input_json_schema: input_schema("Run of a workflow"),
        })
    }
}

#[async_trait]
impl Provider for Workflow {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn tasks(&self, arguments: &Value) -> Result<Vec<TaskOfStep>, String> {
        let read: Arguments = read(arguments).map_err(|failure| failure.message)?;
        tasks(&read.steps)
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunGlobal])
    }

    async fn run_global(&self, run: &StepRun<'_>) -> StepResult {
        let Arguments { steps } = read(run.arguments)?;
        let missing = || StepFailure::new("not-supported", "executions cannot begin here");
        let children = run.children.ok_or_else(missing)?;
        let begun = children.begun().await.map_err(unavailable)?;
        let written = records(&children.written().await.map_err(unavailable)?);
        let mut so_far: Vec<Record> = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let record = match known(index, step, &begun, &written) {
                Some(record) => record,
                None => begin(run, children, &steps, index, &so_far).await?,
            };
            let (is_open, failure) = (record.is_open(), stops(step, &record));
            so_far.push(record);
            if is_open {
                return Err(waiting(&steps, &so_far));
            }
            if let Some(failure) = failure {
                return Err(StepFailure {
                    changed: changed(children, &so_far).await?,
                    data: data(&so_far),
                    ..failure
                });
            }
        }
        end(&steps, &so_far, changed(children, &so_far).await?)
    }
}

/// Decides about a step that has not begun, and begins it.
///
/// # Errors
/// The workflow ends, or is left to another worker.
async fn begin(
    run: &StepRun<'_>,
    children: &dyn ChildExecutions,
    steps: &[Step],
    index: usize,
    so_far: &[Record],
) -> Result<Record, StepFailure> {
    let step = &steps[index];
    let refused = |reason: String| Record::without_execution(index, step, StepState::Refused, reason);
    let context = match context_of(run, children, step, so_far).await {
        Ok(context) => context,
        Err(failure) if failure.reason == TOO_MANY_RESULTS => return Ok(refused(failure.message)),
        Err(failure) => return Err(failure),
    };
    let decided = decide(step, &context).map(|decided| match decided {
        Decided::Begins(on, arguments) => Ok((on, arguments)),
        Decided::Skipped(reason) => Err(Record::without_execution(index, step, StepState::Skipped, reason)),
    });
    let (on, arguments) = match decided {
        Ok(Ok(begins)) => begins,
        Ok(Err(skipped)) => return Ok(skipped),
        Err(failure) => return Ok(refused(failure.message)),
    };
    let new = NewChild {
        step: u32::try_from(index).unwrap_or(u32::MAX),
        task: step.task.clone(),
        on: on.unwrap_or_else(|| ChildTargets::Inherited {
            left_out_by: left_out_by(steps, so_far),
        }),
        arguments,
        limits: step.limits,
    };
    match children.begin(&new).await {
        Ok(execution) => Ok(Record::begun(index, step, execution)),
        Err(ChildError::Refused { reason, message }) => Ok(refused(format!("{reason}: {message}"))),
        Err(error @ ChildError::Halted) => Err(StepFailure::new("cancelled", error.to_string())),
        Err(ChildError::Unavailable(error)) => Err(unavailable(error)),
    }
}

/// What is decided about a step in its context.
#[derive(Debug, PartialEq)]
enum Decided {
    /// It runs with these arguments, on this; `None` is what it inherits.
    Begins(Option<ChildTargets>, Value),
    /// It does not run, for this reason.
    Skipped(&'static str),
}

/// Decides about a step. Pure.
///
/// # Errors
/// An expression is wrong.
fn decide(step: &Step, context: &Value) -> Result<Decided, StepFailure> {
    if let Some(when) = &step.when {
        match evaluate("when", when, context)? {
            Value::Bool(true) => {}
            Value::Bool(false) => return Ok(Decided::Skipped("its condition is not fulfilled")),
            other => {
                let message = format!("when: its value is {}, not true or false", kind(&other));
                return Err(StepFailure::new("template-error", message));
            }
        }
    }
    let on = match (step.run_as, &step.on, &step.on_expression) {
        (Some(kind), Some(named), _) => Some(targets(kind, named.clone())),
        (Some(kind), None, Some(expression)) => {
            let named = named(&evaluate("on_expression", expression, context)?)?;
            if named.is_empty() {
                return Ok(Decided::Skipped("its expression names no entity"));
            }
            Some(targets(kind, named))
        }
        (Some(kind), None, None) => Some(targets(kind, Vec::new())),
        (None, ..) => None,
    };
    let mut arguments = step.arguments.clone();
    for (name, expression) in &step.argument_expressions {
        let value = evaluate(&format!("the argument {name:?}"), expression, context)?;
        arguments.insert(name.clone(), value);
    }
    let arguments = if arguments.is_empty() {
        Value::Null
    } else {
        arguments.into()
    };
    Ok(Decided::Begins(on, arguments))
}

fn targets(kind: ExecuteOn, entities: Vec<NameOrId>) -> ChildTargets {
    let (mut ids, mut names) = (Vec::new(), Vec::new());
    for entity in entities {
        match entity {
            NameOrId::Id(id) => ids.push(id),
            NameOrId::Name(name) => names.push(name),
        }
    }
    ChildTargets::Named { kind, ids, names }
}

/// The entities that the value of an expression names.
fn named(value: &Value) -> Result<Vec<NameOrId>, StepFailure> {
    let wrong = |what: &str| {
        let message = format!("on_expression: its value is {what}; expected a list of names or ids");
        StepFailure::new("template-error", message)
    };
    let list = value.as_array().ok_or_else(|| wrong(kind(value)))?;
    if list.len() > MOST_ENTITIES {
        return Err(wrong(&format!("a list of more than {MOST_ENTITIES}")));
    }
    let entity = |value: &Value| match value {
        Value::String(name) => Ok(NameOrId::Name(name.clone())),
        Value::Number(number) if number.is_u64() => Ok(NameOrId::Id(number.as_u64().unwrap_or_default())),
        other => Err(wrong(&format!("a list with {}", kind(other)))),
    };
    list.iter().map(entity).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// The executions of earlier steps whose elements are left out where these were not done.
fn left_out_by(steps: &[Step], so_far: &[Record]) -> BTreeSet<u64> {
    let earlier = steps.iter().zip(so_far);
    let counts = earlier.filter(|(step, _)| step.inherits() && !step.continue_on_failure);
    counts.filter_map(|(_, record)| record.execution).collect()
}

const TOO_MANY_RESULTS: &str = "too-many-results";

/// What the expressions of a step see. Results are read only if one of them speaks of them.
async fn context_of(
    run: &StepRun<'_>,
    children: &dyn ChildExecutions,
    step: &Step,
    so_far: &[Record],
) -> Result<Value, StepFailure> {
    let sources: Vec<Source<'_>> = step.expressions().map(Source::Expression).collect();
    if sources.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let mut steps = by_name(so_far);
    let with_results = step.expressions().any(|text| text.contains("results"));
    for record in so_far.iter().filter(|_| with_results) {
        let named = step.expressions().any(|text| text.contains(&record.name));
        if let (Some(execution), true) = (record.execution, named) {
            let results = children.results(execution).await;
            let results = results.map_err(|error| StepFailure::new(TOO_MANY_RESULTS, error))?;
            steps[&record.name]["results"] = results.into();
        }
    }
    let mut context = context(run, &sources).await?;
    context["steps"] = steps.into();
    Ok(context)
}

/// The element waits for the step that runs, the last one so far.
fn waiting(steps: &[Step], so_far: &[Record]) -> StepFailure {
    let (execution, name) = so_far
        .last()
        .map(|record| (record.execution.unwrap_or_default(), record.name.as_str()))
        .unwrap_or_default();
    let message = format!(
        "step {} of {} ({name}) runs as execution {execution}",
        so_far.len(),
        steps.len()
    );
    StepFailure {
        state: ElementState::Filtered,
        data: data(so_far),
        parked: Some(Parked::Ended { execution }),
        ..StepFailure::new("step-runs", message)
    }
}

/// How the workflow ends after its last step.
fn end(steps: &[Step], so_far: &[Record], changed: bool) -> StepResult {
    let counts = steps
        .iter()
        .zip(so_far)
        .filter(|(step, _)| !step.continue_on_failure);
    let failed: Vec<&Record> = counts
        .map(|(_, record)| record)
        .filter(|record| record.failed > 0)
        .collect();
    let data = data(so_far);
    if let Some(first) = failed.first() {
        let message = format!(
            "all steps ended; {} of {} elements failed in step {} ({})",
            first.failed, first.elements, first.step, first.name
        );
        return Err(StepFailure {
            state: ElementState::PartialFailed,
            changed,
            data,
            ..StepFailure::new("partly-failed", message)
        });
    }
    let run = so_far.iter().filter(|record| record.execution.is_some()).count();
    Ok(StepDone {
        message: Some(format!("{run} of {} steps ran", steps.len())),
        changed,
        data,
        ..StepDone::default()
    })
}

async fn changed(children: &dyn ChildExecutions, so_far: &[Record]) -> Result<bool, StepFailure> {
    let executions: Vec<u64> = so_far.iter().filter_map(|record| record.execution).collect();
    children.changed(&executions).await.map_err(unavailable)
}

fn unavailable(error: String) -> StepFailure {
    StepFailure::new("store-unavailable", error)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn step(step: Value) -> Step {
        serde_json::from_value(step).expect("a step")
    }

    #[test]
    fn a_step_is_decided_by_its_expressions() {
        let context = json!({
            "input": { "site": "oslo", "count": 3 },
            "steps": { "find": { "done": 2, "results": [{"name": "sw1", "data": 1}, {"name": "sw2", "data": 2}] } },
        });
        let named = |ids: &[u64], names: &[&str]| ChildTargets::Named {
            kind: ExecuteOn::Device,
            ids: ids.to_vec(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let on = |expression: &str| json!({"task": "t", "run_as": "DEVICE", "on_expression": expression});
        let table = [
            (json!({"task": "t"}), Ok(Decided::Begins(None, Value::Null))),
            (
                json!({"task": "t", "when": "steps.find.done > 1", "arguments": {"a": 1}, "argument_expressions": {"b": "input.count"}}),
                Ok(Decided::Begins(None, json!({"a": 1, "b": 3}))),
            ),
            (
                json!({"task": "t", "when": "steps.find.done > 2"}),
                Ok(Decided::Skipped("its condition is not fulfilled")),
            ),
            (
                json!({"task": "t", "run_as": "DEVICE", "on": ["sw1", 7]}),
                Ok(Decided::Begins(Some(named(&[7], &["sw1"])), Value::Null)),
            ),
            (
                on("steps.find.results|selectattr('data', 'eq', 2)|map(attribute='name')|list"),
                Ok(Decided::Begins(Some(named(&[], &["sw2"])), Value::Null)),
            ),
            (on("[]"), Ok(Decided::Skipped("its expression names no entity"))),
            (
                json!({"task": "t", "run_as": "GLOBAL"}),
                Ok(Decided::Begins(
                    Some(targets(ExecuteOn::Global, Vec::new())),
                    Value::Null,
                )),
            ),
            (on("input.site"), Err("on_expression: its value is a text")),
            (
                on("[true]"),
                Err("on_expression: its value is a list with a truth value"),
            ),
            (
                json!({"task": "t", "when": "steps.lost.done"}),
                Err("when, line 1: undefined value"),
            ),
            (
                json!({"task": "t", "when": "input.count"}),
                Err("when: its value is a number"),
            ),
        ];
        for (written, expected) in table {
            match (decide(&step(written.clone()), &context), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{written}"),
                (Err(failure), Err(reason)) => {
                    assert!(
                        failure.message.starts_with(reason),
                        "{written}: {}",
                        failure.message
                    );
                }
                (found, expected) => panic!("{written}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn only_steps_that_inherit_and_count_leave_elements_out() {
        let steps = [
            step(json!({"task": "a"})),
            step(json!({"task": "b", "run_as": "DEVICE", "on": ["sw1"]})),
            step(json!({"task": "c", "continue_on_failure": true})),
            step(json!({"task": "d"})),
            step(json!({"task": "e"})),
        ];
        let mut so_far: Vec<Record> = steps
            .iter()
            .enumerate()
            .map(|(index, step)| Record::begun(index, step, 10 + index as u64))
            .collect();
        so_far[3].execution = None;
        assert_eq!(left_out_by(&steps, &so_far[..4]), BTreeSet::from([10]));
    }

    #[test]
    fn a_workflow_with_failed_elements_is_partly_failed() {
        let steps = [
            step(json!({"task": "a"})),
            step(json!({"task": "b", "continue_on_failure": true})),
        ];
        let record = |index: usize, failed| Record {
            elements: 9,
            failed,
            ..Record::begun(index, &steps[index], 7)
        };
        let done = end(&steps, &[record(0, 0), record(1, 9)], true).expect("done");
        assert_eq!(
            (done.changed, done.message.as_deref()),
            (true, Some("2 of 2 steps ran"))
        );
        let failure = end(&steps, &[record(0, 1), record(1, 0)], true).expect_err("a failure");
        assert_eq!(
            (failure.state, &*failure.reason, failure.changed),
            (ElementState::PartialFailed, "partly-failed", true)
        );
    }
}
