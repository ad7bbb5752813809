use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TaskRequested;

/// Cancel an execution: elements that have not started are skipped; running ones stop after their current step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionCancelRequested {
    /// The execution's id.
    #[serde(deserialize_with = "crate::bounds::uuid")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Id"))]
    pub execution: Uuid,
}

/// Create or replace a schedule, which runs a task periodically.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleSaveRequested {
    /// The schedule's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// When to run: a cron expression of five fields, in UTC.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub cron: String,
    /// The task to run.
    pub task: TaskRequested,
    /// Whether the schedule is active; `true` if absent.
    #[serde(default = "crate::commands::sync::yes")]
    pub enabled: bool,
}
