//! Decides whether a task may run as requested, and on what. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_execution::cycle::{Phase, PhaseRole, StagePlan};
use lockstep_execution::{
    ArgumentError, ArgumentsError, Provider, Registry, RunInput, Steps, check_arguments, check_run_input,
    merge_run_input, or_empty, with_defaults,
};
use lockstep_protocol::Code;
use lockstep_protocol::commands::{ExecuteOn, TaskRequested};
use lockstep_protocol::topology::Lane;
use lockstep_store::{ElementLevels, ElementSource, PhaseTask, PlannedStage, TaskRow};
use serde_json::Value;

use super::phase::levels;
use super::sequence::{Related, Sequence, sequence};
use crate::handlers::Rejection;

/// What an execution runs on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// The kind of entity that its elements are.
    pub(super) run_on: ExecuteOn,
    /// Which entities these are.
    pub(super) source: ElementSource,
    /// The arguments of the run, with the defaults of those that are missing.
    pub(super) arguments: Value,
    /// The tasks that run before it.
    pub(super) pre_tasks: Vec<PhaseTask>,
    /// The tasks that run after it.
    pub(super) post_tasks: Vec<PhaseTask>,
    /// The stages that it goes through.
    pub(super) stages: Vec<PlannedStage>,
    /// Which elements it has.
    pub(super) levels: ElementLevels,
    /// The lane of its elements.
    pub(super) lane: Lane,
}

/// The provider with this name, which the message names at this place.
pub(super) fn provider<'a>(
    registry: &'a Registry,
    name: &str,
    place: &str,
) -> Result<&'a Arc<dyn Provider>, Rejection> {
    registry.get(name).ok_or_else(|| {
        let known: Vec<&str> = registry
            .iter()
            .map(|provider| &*provider.properties().name)
            .collect();
        let reason = format!("no provider is named {name:?}; there are {}", known.join(", "));
        Rejection::new(Code::UnknownProvider, place, reason)
    })
}

/// Checks the arguments of a task. Returns the kind of entity that it runs on.
pub(super) fn check_task(
    provider: &dyn Provider,
    arguments: &Value,
    place: &str,
) -> Result<ExecuteOn, Rejection> {
    let checked = check_arguments(&provider.properties().json_schema, arguments);
    checked.map_err(|error| invalid(&error, place))?;
    let unclear = |reason| Rejection::new(Code::InvalidArguments, place, reason);
    provider.run_on(arguments).map_err(unclear)
}

/// Checks a request of a task, which is at `root` in the message. `tasks` are its pre- and post-tasks, and theirs.
pub(super) fn plan(
    registry: &Registry,
    task: &TaskRow,
    tasks: &BTreeMap<String, TaskRow>,
    request: &TaskRequested,
    root: &str,
) -> Result<Plan, Rejection> {
    let of_task = format!("{root}.task");
    let provider = provider(registry, &task.provider, &of_task)?;
    let run_on = check_task(&**provider, &task.arguments, &of_task)
        .map_err(|rejection| saved(&rejection, task, &of_task))?;
    let own = task.run_input_json_schema.as_ref();
    let place = format!("{root}.arguments");
    let arguments = run_arguments(&**provider, own, &request.arguments, &place)
        .map_err(|rejection| with_hint(rejection, &task.name))?;
    let source = source(&**provider, run_on, request, root)?;
    let lane = provider.properties().lane;
    let order = sequence(Related::from(task), tasks).map_err(|error| error.rejection(false, &of_task))?;
    let Sequence { before, after } = order;
    let related = |names: Vec<&str>| -> Result<Vec<(PhaseTask, Steps)>, Rejection> {
        let rows = names.into_iter().filter_map(|name| tasks.get(name));
        rows.map(|row| related(registry, row, lane, &of_task)).collect()
    };
    let (before, after) = (related(before)?, related(after)?);
    let main = provider.steps(&or_empty(&task.arguments));
    let steps = before.iter().map(|(_, steps)| *steps);
    let steps: Vec<Steps> = steps
        .chain([main])
        .chain(after.iter().map(|(_, steps)| *steps))
        .collect();
    let stages = stages(before.len(), &steps);
    if main == Steps::default() {
        let reason = format!(
            "with these arguments, provider {} has no step; the task has to be saved again",
            task.provider
        );
        return Err(Rejection::new(Code::InvalidArguments, of_task, reason));
    }
    let task_of = |phase: (PhaseTask, Steps)| phase.0;
    Ok(Plan {
        run_on,
        source,
        arguments,
        pre_tasks: before.into_iter().map(task_of).collect(),
        post_tasks: after.into_iter().map(task_of).collect(),
        levels: levels(&stages, &steps),
        stages,
        lane,
    })
}

/// Which entities an execution runs on.
fn source(
    provider: &dyn Provider,
    run_on: ExecuteOn,
    request: &TaskRequested,
    root: &str,
) -> Result<ElementSource, Rejection> {
    let properties = provider.properties();
    let named = request.execute_on_type;
    let place = format!("{root}.execute_on_type");
    if properties.run_on_strict && named != run_on {
        let reason = format!(
            "provider {} runs only on entities that are named themselves: {run_on}, not {named}",
            properties.name
        );
        return Err(Rejection::new(Code::WrongEntity, place, reason));
    }
    let ids = &request.execute_on;
    if named == ExecuteOn::Global && !ids.is_empty() {
        let reason = "GLOBAL has no entities; name their kind in execute_on_type";
        return Err(Rejection::new(Code::WrongEntity, place, reason));
    }
    Ok(match (run_on, ids.is_empty()) {
        (ExecuteOn::Global, _) => ElementSource::Global,
        (_, true) if properties.run_on_all_if_empty => ElementSource::All,
        _ => ElementSource::Of {
            entity_type: named,
            ids: ids.clone(),
        },
    })
}

/// Checks a pre- or post-task. It runs on the lane of the task that it belongs to, and with the defaults of its arguments of a run.
fn related(
    registry: &Registry,
    task: &TaskRow,
    lane: Lane,
    place: &str,
) -> Result<(PhaseTask, Steps), Rejection> {
    let provider = provider(registry, &task.provider, place)?;
    let run_on = check_task(&**provider, &task.arguments, place)
        .map_err(|rejection| saved(&rejection, task, place))?;
    let own = task.run_input_json_schema.as_ref();
    let run_arguments = run_arguments(&**provider, own, &Value::Null, place).map_err(|rejection| {
        let reason = format!(
            "the pre- or post-task {} needs arguments of the run, which only the task itself gets: {}",
            task.name, rejection.reason
        );
        Rejection::new(rejection.code, place, reason)
    })?;
    let properties = provider.properties();
    if properties.lane != lane {
        let reason = format!(
            "the pre- or post-task {} runs on the lane {}, and the task on the lane {lane}",
            task.name, properties.lane
        );
        return Err(Rejection::new(Code::InvalidArguments, place, reason));
    }
    let phase = PhaseTask {
        task: task.name.clone(),
        provider: task.provider.clone(),
        arguments: task.arguments.clone(),
        run_arguments,
        run_on,
    };
    Ok((phase, provider.steps(&or_empty(&task.arguments))))
}

/// The provider changed since the task was saved. Its arguments are not in the message, which names the task at this place.
fn saved(rejection: &Rejection, task: &TaskRow, place: &str) -> Rejection {
    let reason = format!("task {} has to be saved again: {}", task.name, rejection.reason);
    Rejection::new(rejection.code, place, reason)
}

/// The stages of phases with these steps, of which the first `before` are pre-tasks.
pub(super) fn stages(before: usize, steps: &[Steps]) -> Vec<PlannedStage> {
    let phases = steps.iter().enumerate().map(|(index, steps)| Phase {
        role: match index.cmp(&before) {
            std::cmp::Ordering::Less => PhaseRole::Pre,
            std::cmp::Ordering::Equal => PhaseRole::Main,
            std::cmp::Ordering::Greater => PhaseRole::Post,
        },
        steps: *steps,
    });
    let phases: Vec<Phase> = phases.collect();
    let stages = StagePlan::of(&phases).0.into_iter();
    let stages = stages.map(|planned| PlannedStage {
        phase: planned.phase,
        stage: planned.stage,
    });
    stages.collect()
}

/// The arguments of a run with the defaults of those that are missing, checked with the schema of the provider and that of the task.
pub(super) fn run_arguments(
    provider: &dyn Provider,
    own: Option<&Value>,
    given: &Value,
    place: &str,
) -> Result<Value, Rejection> {
    let properties = provider.properties();
    let schema = merge_run_input(&properties.run_input_json_schema, own).map_err(|error| {
        let reason = format!(
            "the task's own arguments of a run do not fit provider {} any more, so it has to be saved again: {error}",
            properties.name
        );
        Rejection::new(Code::InvalidArguments, place, reason)
    })?;
    let arguments = with_defaults(&schema, given).into_owned();
    check_arguments(&schema, &arguments).map_err(|error| invalid(&error, place))?;
    Ok(arguments)
}

/// Says where to find out about the arguments of a run.
pub(super) fn with_hint(rejection: Rejection, task: &str) -> Rejection {
    let reason = format!(
        "{}; `lockstep tasks form {task:?}` shows what a run takes",
        rejection.reason
    );
    Rejection { reason, ..rejection }
}

/// Checks what a task adds to the arguments of its runs. The task is at `root` in the message.
pub(super) fn check_own(provider: &dyn Provider, own: RunInput<'_>, root: &str) -> Result<(), Rejection> {
    let errors = check_run_input(provider.properties(), own);
    let Some(first) = errors.first() else {
        return Ok(());
    };
    let place = format!("{root}.{}{}", first.field, first.error.json_path());
    let reasons: Vec<String> = errors.iter().map(ToString::to_string).collect();
    Err(Rejection::new(Code::InvalidArguments, place, reasons.join("; ")))
}

/// The place is that of the first error.
fn invalid(error: &ArgumentsError, place: &str) -> Rejection {
    let first = match error {
        ArgumentsError::Invalid { errors, .. } => errors.first(),
        ArgumentsError::Schema(_) => None,
    };
    let path = first.map_or(String::new(), ArgumentError::json_path);
    Rejection::new(
        Code::InvalidArguments,
        format!("{place}{path}"),
        error.to_string(),
    )
}

#[cfg(test)]
mod tests;
