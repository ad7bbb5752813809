//! Decides whether a task may run as requested, and on what. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use lockstep_execution::cycle::{Phase, PhaseRole, StagePlan};
use lockstep_execution::{ArgumentsError, Provider, Registry, Steps, check_arguments, or_empty};
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
    check_run(&**provider, &request.arguments, &format!("{root}.arguments"))?;
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

/// Checks a pre- or post-task. It runs on the lane of the task that it belongs to, and without arguments of the run.
fn related(
    registry: &Registry,
    task: &TaskRow,
    lane: Lane,
    place: &str,
) -> Result<(PhaseTask, Steps), Rejection> {
    let provider = provider(registry, &task.provider, place)?;
    let run_on = check_task(&**provider, &task.arguments, place)
        .map_err(|rejection| saved(&rejection, task, place))?;
    check_run(&**provider, &Value::Null, place).map_err(|rejection| {
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

/// Checks the arguments of a run.
pub(super) fn check_run(provider: &dyn Provider, arguments: &Value, place: &str) -> Result<(), Rejection> {
    let checked = check_arguments(&provider.properties().run_input_json_schema, arguments);
    checked.map_err(|error| invalid(&error, place))
}

/// The place is that of the first error.
fn invalid(error: &ArgumentsError, place: &str) -> Rejection {
    let first = match error {
        ArgumentsError::Invalid { errors, .. } => errors.first(),
        ArgumentsError::Schema(_) => None,
    };
    let path = first.map_or(String::new(), |first| json_path(&first.path));
    Rejection::new(
        Code::InvalidArguments,
        format!("{place}{path}"),
        error.to_string(),
    )
}

/// A JSON Pointer such as `/commands/0` as a JSON path: `.commands[0]`.
fn json_path(pointer: &str) -> String {
    let parts = pointer.split('/').skip(1);
    parts
        .map(|part| match part.parse::<usize>() {
            Ok(index) => format!("[{index}]"),
            Err(_) => format!(".{}", part.replace("~1", "/").replace("~0", "~")),
        })
        .collect()
}

#[cfg(test)]
mod tests;
