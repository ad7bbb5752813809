//! What templates see of an entity, and the kinds of entities that they run on.

use lockstep_protocol::Level;
use lockstep_protocol::commands::ExecuteOn;
use serde_json::{Map, Value, json};

use super::template::names_in;
use crate::{CycleStep, Entity, StepFailure, StepRun, Steps, or_empty};

/// A text of a task that uses the context.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// An expression.
    Expression(&'a str),
    /// A template.
    Template(&'a str),
}

/// What descriptions of providers say about the context.
macro_rules! context_help {
    () => {
        "The texts see the entity as `device`, `interface`, `group` or `client`, and those above it: an interface its `device` and its \
         `groups`, a device its `groups`, a client its `interface` and `device` or its `group`, all of them the `fleet`. Each has its \
         attributes, its `facts` by key, and its `checks` by key, with `result`, `reason` and `metrics`. `input` has the arguments of \
         the run. What is undefined is an error; ask by `is defined`, or use `default`. The syntax is that of Jinja, by the crate \
         minijinja, bounded in work and output, without access to files."
    };
}
pub(super) use context_help;

/// The context of these texts. Only what they name is read.
///
/// # Errors
/// The store cannot be read.
pub(super) async fn context(run: &StepRun<'_>, sources: &[Source<'_>]) -> Result<Value, StepFailure> {
    let names = names(sources);
    let uses = |name: &str| {
        names
            .as_ref()
            .is_none_or(|names| names.iter().any(|used| used == name))
    };
    let mut context = Map::new();
    context.insert("input".to_owned(), or_empty(run.run_arguments).into_owned());
    context.insert("dry_run".to_owned(), run.dry_run.into());
    context.insert("groups".to_owned(), json!([]));
    let above = run.above.iter().map(|(entity, _)| *entity);
    for entity in above.chain([run.entity]) {
        let Some(name) = name(entity.level, run.entity.level) else {
            continue;
        };
        if !uses(name) {
            continue;
        }
        let known = known(run, entity).await?;
        match context.get_mut(name) {
            Some(Value::Array(all)) => all.push(known),
            _ => {
                context.insert(name.to_owned(), known);
            }
        }
    }
    Ok(context.into())
}

/// What an entity at this level is called by the templates of an entity at another one.
const fn name(level: Level, of: Level) -> Option<&'static str> {
    match level {
        Level::Global => Some("fleet"),
        // A device may be in several.
        Level::Group if !matches!(of, Level::Group | Level::GroupClient) => Some("groups"),
        Level::Group => Some("group"),
        Level::NornirDevice => Some("nornir_device"),
        Level::Device => Some("device"),
        Level::Interface => Some("interface"),
        Level::GroupClient | Level::InterfaceClient => Some("client"),
        Level::Item => None,
    }
}

async fn known(run: &StepRun<'_>, entity: &Entity) -> Result<Value, StepFailure> {
    let known = run.entities.entity(entity.level.entity_type(), entity.id).await;
    known.map_err(|error| StepFailure::new("store-unavailable", error))
}

/// The names that the texts use. `None` if one of them is wrong.
fn names(sources: &[Source<'_>]) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for source in sources {
        names.extend(match source {
            Source::Expression(text) => names_in(text, true)?,
            Source::Template(text) => names_in(text, false)?,
        });
    }
    Some(names)
}

/// The argument `run_on` of a task, one of these kinds.
///
/// # Errors
/// It is none of them.
pub(super) fn run_on(arguments: &Value, kinds: &[ExecuteOn]) -> Result<ExecuteOn, String> {
    let text = arguments["run_on"].as_str().unwrap_or_default();
    let found = kinds.iter().copied().find(|kind| kind.as_str() == text);
    found.ok_or_else(|| {
        let known: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
        format!("run_on is {text:?}; say one of {}", known.join(", "))
    })
}

/// The run steps on entities of this kind; none without one.
pub(super) fn run_steps(kind: Option<ExecuteOn>) -> Steps {
    match kind {
        None => Steps::default(),
        Some(ExecuteOn::Global) => Steps::of(&[CycleStep::RunGlobal]),
        Some(ExecuteOn::Group) => Steps::of(&[CycleStep::RunOnDeviceGroup]),
        Some(ExecuteOn::Device) => Steps::of(&[CycleStep::RunOnDevice]),
        Some(ExecuteOn::Interface) => Steps::of(&[CycleStep::RunOnInterface]),
        Some(ExecuteOn::Client) => Steps::of(&[
            CycleStep::RunOnClientOfInterface,
            CycleStep::RunOnClientOfLocation,
        ]),
    }
}

/// The schema of the argument `run_on`.
pub(super) fn run_on_schema(kinds: &[ExecuteOn]) -> Value {
    let known: Vec<&str> = kinds.iter().map(|kind| kind.as_str()).collect();
    json!({
        "title": "Kind of entity",
        "description": "What it runs on. Entities of another kind stand for those that belong to them.",
        "type": "string",
        "enum": known,
    })
}

/// The rule of a control that is hidden while another argument is given.
pub(super) fn hidden_with(argument: &str) -> Value {
    json!({
        "effect": "HIDE",
        "condition": {"scope": "#", "schema": {"type": "object", "required": [argument]}, "failWhenUndefined": true},
    })
}

/// The schema of the arguments of a run: any, for the texts of the task.
pub(super) fn input_schema(title: &str) -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": title,
        "description": "Any arguments; the texts of the task see them as `input`.",
        "type": "object",
        "additionalProperties": true,
    })
}
