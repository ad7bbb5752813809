use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds::{self, MAX_ENTITIES};

/// Run a task (`neopsTaskExecute` in neops).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRequested {
    /// The task's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub task: String,
    /// The ids of the entities to run on, at most 100,000. If empty, the provider's properties select the entities.
    #[serde(default, deserialize_with = "entities")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_ENTITIES)))]
    pub execute_on: Vec<u64>,
    /// The kind of entity that `execute_on` names.
    pub execute_on_type: ExecuteOn,
    /// Report what would change without changing devices; `true` if absent.
    #[serde(default = "crate::commands::sync::yes")]
    pub dry_run: bool,
    /// Additional arguments of this run, validated with the provider's `run_input_json_schema`.
    #[serde(default)]
    pub arguments: Value,
}

fn entities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    bounds::list(deserializer, 0..=MAX_ENTITIES)
}

/// The kind of entity a task runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// Create or replace a task: a provider with arguments, under a unique name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskSaveRequested {
    /// The task's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// The name of the provider that the task runs.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub provider: String,
    /// The provider's arguments, validated with its `json_schema`.
    #[serde(default)]
    pub arguments: Value,
}

/// Delete a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskDeleteRequested {
    /// The task's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
}
