use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TaskRequested;

/// Cancel an execution: what has not begun does not, what is under way stops between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionCancelRequested {
    /// The execution.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
}

/// Save a schedule: a task run again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleSaveRequested {
    /// Its unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// When, as a cron expression in UTC with five fields.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub cron: String,
    /// What.
    pub task: TaskRequested,
    /// Whether it fires.
    #[serde(default = "crate::commands::sync::yes")]
    pub enabled: bool,
}
