//! The arguments of a workflow: its steps.

use std::collections::BTreeMap;

use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::template::names_in;
use crate::TaskOfStep;

/// The most steps of a workflow.
const MOST_STEPS: usize = 100;
/// The most entities that a step names.
pub(super) const MOST_ENTITIES: usize = 10_000;

#[derive(Debug, Deserialize)]
pub(super) struct Arguments {
    pub(super) steps: Vec<Step>,
}

/// A step as it is written in a task.
#[derive(Debug, Deserialize)]
pub(super) struct Step {
    name: Option<String>,
    pub(super) task: TaskReference,
    pub(super) run_as: Option<ExecuteOn>,
    pub(super) on: Option<Vec<NameOrId>>,
    pub(super) on_expression: Option<String>,
    #[serde(default)]
    pub(super) arguments: Map<String, Value>,
    #[serde(default)]
    pub(super) argument_expressions: BTreeMap<String, String>,
    pub(super) when: Option<String>,
    #[serde(default)]
    pub(super) continue_on_failure: bool,
    pub(super) limits: Option<RunLimits>,
}

/// An entity as a step names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrId {
    Id(u64),
    Name(String),
}

impl Step {
    /// What results and expressions call it.
    pub(super) fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.task.to_string())
    }

    /// Whether it runs on what the workflow was requested for.
    pub(super) fn inherits(&self) -> bool {
        self.run_as.is_none()
    }

    /// Its expressions.
    pub(super) fn expressions(&self) -> impl Iterator<Item = &str> {
        let optional = self.when.iter().chain(&self.on_expression);
        optional
            .chain(self.argument_expressions.values())
            .map(String::as_str)
    }

    /// The arguments of its run that are written in the task; null if there are none.
    pub(super) fn constants(&self) -> Value {
        if self.arguments.is_empty() {
            Value::Null
        } else {
            self.arguments.clone().into()
        }
    }

    fn check(&self) -> Result<(), String> {
        let selects = self.on.is_some() || self.on_expression.is_some();
        match (self.run_as, selects) {
            (None, true) => {
                return Err("say in run_as which kind of entity `on` or `on_expression` names".to_owned());
            }
            (Some(ExecuteOn::Global), true) => {
                return Err("GLOBAL is the whole fleet; leave `on` and `on_expression` out".to_owned());
            }
            (Some(kind), false) if kind != ExecuteOn::Global => {
                return Err(format!(
                    "say in `on` or `on_expression` on which {kind} entities it runs"
                ));
            }
            _ => {}
        }
        if let Some(wrong) = self.expressions().find(|text| names_in(text, true).is_none()) {
            return Err(format!(
                "{wrong:?} is not an expression; its syntax is that of Jinja, without braces"
            ));
        }
        let both = self.argument_expressions.keys();
        if let Some(both) = both.into_iter().find(|name| self.arguments.contains_key(*name)) {
            return Err(format!(
                "argument {both} is in `arguments` and in `argument_expressions`; leave it out of one of them"
            ));
        }
        Ok(())
    }
}

/// The tasks of these steps.
///
/// # Errors
/// Steps do not fit together.
pub(super) fn tasks(steps: &[Step]) -> Result<Vec<TaskOfStep>, String> {
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for (index, step) in steps.iter().enumerate() {
        let number = index + 1;
        step.check()
            .map_err(|reason| format!("step {number}: {reason}"))?;
        if let Some(first) = names.insert(step.name(), number) {
            return Err(format!(
                "steps {first} and {number} are both named {:?}; give one of them another `name`",
                step.name()
            ));
        }
    }
    let task = |step: &Step| TaskOfStep {
        task: step.task.clone(),
        arguments: step.argument_expressions.is_empty().then(|| step.constants()),
    };
    Ok(steps.iter().map(task).collect())
}

pub(super) fn schema() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Workflow",
        "type": "object",
        "required": ["steps"],
        "properties": {
            "steps": {
                "title": "Steps",
                "description": "Tasks that run one after the other, each as an execution of its own.",
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_STEPS,
                "items": step_schema(),
            },
        },
        "additionalProperties": false,
    })
}

/// The form of steps. What JSON Forms has no control for, such as lists of names or numbers and maps, is written in files of tasks.
pub(super) fn ui_schema() -> Value {
    let control = |property: &str| json!({"type": "Control", "scope": format!("#/properties/{property}")});
    let limit = |property: &str| control(&format!("limits/properties/{property}"));
    json!({
        "type": "VerticalLayout",
        "elements": [{
            "type": "Control",
            "scope": "#/properties/steps",
            "options": {"detail": {"type": "VerticalLayout", "elements": [
                control("name"),
                control("task"),
                control("run_as"),
                control("on_expression"),
                control("when"),
                control("continue_on_failure"),
                {"type": "Group", "label": "Limits", "elements": [
                    limit("at_once"),
                    limit("canary"),
                    limit("wave"),
                    limit("max_failed_percent"),
                    limit("deadline_seconds"),
                ]},
            ]}},
        }],
    })
}

fn step_schema() -> Value {
    let kinds = ExecuteOn::ALL.map(ExecuteOn::as_str);
    let expression = |title: &str, description: &str| {
        json!({
            "title": title,
            "description": description,
            "type": "string",
            "minLength": 1,
            "maxLength": 65_536,
            "x-display": "editor-jinja2",
        })
    };
    json!({
        "title": "Step",
        "type": "object",
        "required": ["task"],
        "properties": {
            "name": {
                "title": "Name",
                "description": "What results and expressions call the step; the name of its task if left out.",
                "type": "string",
                "minLength": 1,
                "maxLength": 255,
            },
            "task": {
                "title": "Task",
                "description": "The name of a task, or its number.",
                "type": ["string", "integer"],
                "minLength": 1,
                "maxLength": 255,
                "minimum": 0,
            },
            "run_as": {
                "title": "Kind of entity",
                "description": "What `on` or `on_expression` name; GLOBAL alone is the whole fleet. If left out, the step runs on what the \
                                workflow was requested for, without the elements that were not done in an earlier such step.",
                "type": "string",
                "enum": kinds,
            },
            "on": {
                "title": "Entities",
                "description": "The entities that it runs on: names, or ids.",
                "type": "array",
                "minItems": 1,
                "maxItems": MOST_ENTITIES,
                "items": { "type": ["string", "integer"], "minLength": 1, "maxLength": 1024, "minimum": 0 },
            },
            "on_expression": expression(
                "Entities by an expression",
                "Instead of `on`: an expression whose value is a list of names or ids. An empty list skips the step.",
            ),
            "arguments": {
                "title": "Arguments",
                "description": "Arguments of the run of the task.",
                "type": "object",
            },
            "argument_expressions": {
                "title": "Arguments by expressions",
                "description": "Arguments of the run of the task, by name, as expressions.",
                "type": "object",
                "maxProperties": 100,
                "additionalProperties": { "type": "string", "minLength": 1, "maxLength": 65_536 },
            },
            "when": expression(
                "Condition",
                "An expression that is true or false. If it is false, the step is skipped.",
            ),
            "continue_on_failure": {
                "title": "Continue on failure",
                "description": "Whether a failure of this step has no consequences: the next one begins, on all entities.",
                "type": "boolean",
                "default": false,
            },
            "limits": limits_schema(),
        },
        "not": { "required": ["on", "on_expression"] },
        "additionalProperties": false,
    })
}

fn limits_schema() -> Value {
    let limit = |title: &str, description: &str| json!({ "title": title, "description": description, "type": "integer", "minimum": 1, "maximum": u32::MAX });
    json!({
        "title": "Limits",
        "description": "The limits of the execution of the step; those of the run of the workflow if left out.",
        "type": "object",
        "properties": {
            "at_once": limit("At once", "The most elements that run at once."),
            "canary": limit("Canary", "So many elements run first."),
            "wave": limit("Wave", "After the canary, elements run in waves of so many."),
            "max_failed_percent": {
                "title": "Failed elements",
                "description": "Nothing more begins when more than this share of the elements failed, in percent.",
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
            },
            "deadline_seconds": limit("Deadline", "After so many seconds nothing more begins."),
        },
        "additionalProperties": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check_arguments;

    #[test]
    fn steps_fit_together_or_say_what_does_not() {
        for (steps, expected) in [
            (
                json!([{"task": "a"}, {"task": 7, "when": "steps.a.done > 0"}]),
                Ok(()),
            ),
            (
                json!([{"task": "a", "run_as": "DEVICE", "on": ["sw1", 7]}, {"task": "a", "name": "again", "run_as": "GLOBAL"}]),
                Ok(()),
            ),
            (
                json!([{"task": "a", "on": ["sw1"]}]),
                Err("step 1: say in run_as"),
            ),
            (
                json!([{"task": "a", "run_as": "DEVICE"}]),
                Err("step 1: say in `on` or `on_expression` on which DEVICE"),
            ),
            (
                json!([{"task": "a", "run_as": "GLOBAL", "on": ["sw1"]}]),
                Err("step 1: GLOBAL is the whole fleet"),
            ),
            (
                json!([{"task": "a"}, {"task": "a"}]),
                Err("steps 1 and 2 are both named \"a\""),
            ),
            (
                json!([{"task": "a"}, {"task": "b", "when": "steps.a.done >"}]),
                Err("step 2: \"steps.a.done >\" is not an expression"),
            ),
            (
                json!([{"task": "a", "arguments": {"n": 1}, "argument_expressions": {"n": "1"}}]),
                Err("step 1: argument n is in"),
            ),
        ] {
            let arguments = json!({ "steps": steps });
            check_arguments(&schema(), &arguments).expect("valid by the schema");
            let arguments: Arguments = serde_json::from_value(arguments).expect("arguments");
            match (tasks(&arguments.steps), expected) {
                (Ok(_), Ok(())) => {}
                (Err(reason), Err(expected)) => assert!(reason.starts_with(expected), "{reason}"),
                (found, expected) => panic!("{steps}: {found:?} instead of {expected:?}"),
            }
        }
    }

    #[test]
    fn the_schema_bounds_steps_and_refuses_misspelled_arguments() {
        for steps in [
            json!([]),
            json!([{}]),
            json!([{"task": "a", "wen": "true"}]),
            json!([{"task": "a", "run_as": "DEVICE", "on": [], }]),
            json!([{"task": "a", "run_as": "SWITCH", "on": ["sw1"]}]),
            json!([{"task": "a", "run_as": "DEVICE", "on": ["sw1"], "on_expression": "[]"}]),
            json!([{"task": "a", "limits": {"canary": 0}}]),
            json!(vec![json!({"task": "a"}); MOST_STEPS + 1]),
        ] {
            let arguments = json!({ "steps": steps });
            assert!(check_arguments(&schema(), &arguments).is_err(), "{steps}");
        }
    }

    #[test]
    fn arguments_are_known_before_unless_expressions_make_them() {
        let steps = json!([{"task": "a", "arguments": {"n": 1}}, {"task": "b"}, {"task": "c", "argument_expressions": {"n": "1"}}]);
        let steps: Vec<Step> = serde_json::from_value(steps).expect("steps");
        let known: Vec<Option<Value>> = tasks(&steps)
            .expect("tasks")
            .into_iter()
            .map(|task| task.arguments)
            .collect();
        assert_eq!(known, [Some(json!({"n": 1})), Some(Value::Null), None]);
    }
}
