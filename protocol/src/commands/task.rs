use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds::{self, MAX_ENTITIES};

/// Run a task (`neopsTaskExecute` of `seeds/neops-providers.txt`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRequested {
    /// The task, by its unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub task: String,
    /// The ids of the entities to run on, at most 100,000; empty means what the provider's properties say.
    #[serde(default, deserialize_with = "entities")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_ENTITIES)))]
    pub execute_on: Vec<u64>,
    /// What kind of entity those ids are.
    pub execute_on_type: ExecuteOn,
    /// Change nothing on devices.
    #[serde(default = "crate::commands::sync::yes")]
    pub dry_run: bool,
    /// Additional arguments of this run, checked against the provider's `run_input_json_schema`.
    #[serde(default)]
    pub arguments: Value,
}

fn entities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    bounds::list(deserializer, 0..=MAX_ENTITIES)
}

/// What kind of entity a task is run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ExecuteOn {
    /// The whole fleet, once.
    Global,
    /// Groups of devices.
    Group,
    /// Devices.
    Device,
    /// Interfaces.
    Interface,
    /// Clients.
    Client,
}

/// Save a task: a provider with arguments, under a unique name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskSaveRequested {
    /// Its unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// The provider it instantiates.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub provider: String,
    /// The arguments, checked against the provider's `json_schema`.
    #[serde(default)]
    pub arguments: Value,
}

/// Delete a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskDeleteRequested {
    /// Its unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
}
