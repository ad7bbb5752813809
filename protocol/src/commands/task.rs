use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::bounds::{self, MAX_ENTITIES, MAX_ENTITY_NAME, MAX_TASKS};

/// Run a task (`neopsTaskExecute` in neops).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRequested {
    /// The task: its number, or its unique name.
    pub task: TaskReference,
    /// The ids of the entities to run on, at most 100,000. If neither ids nor names are given, nothing runs, unless the provider says `run_on_all_if_empty`.
    #[serde(default, deserialize_with = "entities")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_ENTITIES)))]
    pub execute_on: Vec<u64>,
    /// The names of the entities to run on, beside `execute_on`, at most 100,000: the name of a group, the hostname of a device, the
    /// hostname and the name of an interface with a space between them, the MAC address of a client. They are looked up when the
    /// request is processed; one that is unknown rejects it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "names")]
    #[cfg_attr(
        feature = "schema",
        schemars(with = "Vec<crate::schema::EntityName>", length(max = crate::bounds::MAX_ENTITIES))
    )]
    pub execute_on_names: Vec<String>,
    /// The kind of entity that `execute_on` and `execute_on_names` name.
    pub execute_on_type: ExecuteOn,
    /// Report what would change without changing devices; `true` if absent.
    #[serde(default = "crate::commands::sync::yes")]
    pub dry_run: bool,
    /// Additional arguments of this run, validated with the `run_input_json_schema` of the provider and that of the task.
    #[serde(default)]
    pub arguments: Value,
    /// The limits of this run.
    #[serde(default)]
    pub limits: RunLimits,
}

/// The limits of one execution. The limits that workers are configured with apply as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunLimits {
    /// The most elements that run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub at_once: Option<std::num::NonZeroU32>,
    /// So many elements run first. The others begin only after all of these ended, and none of these failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub canary: Option<std::num::NonZeroU32>,
    /// After the canary, elements run in waves of so many: each wave begins when all elements of the one before it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub wave: Option<std::num::NonZeroU32>,
    /// Nothing more begins when more than this share of all elements failed, in percent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "percent"
    )]
    #[cfg_attr(feature = "schema", schemars(range(max = 100)))]
    pub max_failed_percent: Option<u8>,
    /// After so many seconds nothing more begins, and what runs is told to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub deadline_seconds: Option<std::num::NonZeroU32>,
}

fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    match Option::<u8>::deserialize(deserializer)? {
        Some(percent) if percent > 100 => Err(D::Error::custom(format!("is {percent}; the maximum is 100"))),
        percent => Ok(percent),
    }
}

fn entities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    bounds::list(deserializer, 0..=MAX_ENTITIES)
}

fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names: Vec<String> = bounds::list(deserializer, 0..=MAX_ENTITIES)?;
    for name in &names {
        bounds::check_line(name, MAX_ENTITY_NAME).map_err(D::Error::custom)?;
    }
    Ok(names)
}

/// Names a task: a JSON number is its number, a JSON string its unique name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(untagged)]
pub enum TaskReference {
    /// The number that the store gave it.
    Number(u64),
    /// Its unique name.
    Name(String),
}

impl fmt::Display for TaskReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl From<&str> for TaskReference {
    fn from(name: &str) -> Self {
        Self::Name(name.to_owned())
    }
}

impl<'de> Deserialize<'de> for TaskReference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reference;

        impl Visitor<'_> for Reference {
            type Value = TaskReference;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the number or the name of a task")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<TaskReference, E> {
                Ok(TaskReference::Number(number))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<TaskReference, E> {
                bounds::check_label(name).map_err(E::custom)?;
                Ok(TaskReference::Name(name.to_owned()))
            }
        }

        deserializer.deserialize_any(Reference)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for TaskReference {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "TaskReference".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let name = generator.subschema_for::<crate::schema::Label>();
        schemars::json_schema!({"anyOf": [{"type": "integer", "minimum": 0}, name]})
    }
}

/// The kind of entity a task runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecuteOn {
    /// Runs once for the whole fleet.
    Global,
    /// Runs on groups of devices.
    Group,
    /// Runs on devices.
    Device,
    /// Runs on interfaces.
    Interface,
    /// Runs on clients.
    Client,
}

impl ExecuteOn {
    /// Every kind of entity.
    pub const ALL: [Self; 5] = [
        Self::Global,
        Self::Group,
        Self::Device,
        Self::Interface,
        Self::Client,
    ];

    /// The kind as it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Global => "GLOBAL",
            Self::Group => "GROUP",
            Self::Device => "DEVICE",
            Self::Interface => "INTERFACE",
            Self::Client => "CLIENT",
        }
    }
}

impl fmt::Display for ExecuteOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for ExecuteOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is not a kind of entity; expected one of {known}")
        })
    }
}

/// Create or replace a task: a provider with arguments, under a unique name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskSaveRequested {
    /// The task's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// What the task is for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub description: Option<String>,
    /// The name of the provider that the task runs.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub provider: String,
    /// The provider's arguments, validated with its `json_schema`.
    #[serde(default)]
    pub arguments: Value,
    /// The names of tasks that run before this one, on the same entities; at most 20. Where one fails, this one does not run.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tasks")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::schema::Label>", length(max = crate::bounds::MAX_TASKS)))]
    pub pre_tasks: Vec<String>,
    /// The names of tasks that run after this one, on the entities on which it was done; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "tasks")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<crate::schema::Label>", length(max = crate::bounds::MAX_TASKS)))]
    pub post_tasks: Vec<String>,
    /// The task's own arguments of a run, beside those of the provider: a JSON Schema (draft-07) of an object, of at most 65,536 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_object"
    )]
    pub run_input_json_schema: Option<Map<String, Value>>,
    /// The UI schema of JSON Forms for the arguments of a run, of at most 65,536 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_object"
    )]
    pub run_input_ui_schema: Option<Map<String, Value>>,
}

fn tasks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let names: Vec<String> = bounds::list(deserializer, 0..=MAX_TASKS)?;
    for name in &names {
        bounds::check_label(name).map_err(D::Error::custom)?;
    }
    Ok(names)
}

/// Delete a task. Executions of it stay, and go on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskDeleteRequested {
    /// The task's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_is_a_dry_run_of_nothing_unless_it_says_otherwise() {
        let request = |body: Value| -> TaskRequested { serde_json::from_value(body).unwrap() };
        let least = request(json!({"task": "check", "execute_on_type": "DEVICE"}));
        assert!(least.dry_run && least.execute_on.is_empty() && least.arguments.is_null());
        let whole = request(json!({
            "task": 7,
            "execute_on_type": "GROUP",
            "execute_on": [1, 2],
            "dry_run": false,
            "arguments": {"count": 3},
        }));
        assert!(!whole.dry_run);
        assert_eq!(
            (whole.task, whole.execute_on_type),
            (TaskReference::Number(7), ExecuteOn::Group)
        );
        assert_eq!(
            (whole.execute_on, whole.arguments),
            (vec![1, 2], json!({"count": 3}))
        );
    }
}
