use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TaskRequested;

/// Cancel an execution: what has not begun does not, what is under way stops between two steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExecutionCancelRequested {
    /// The execution.
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub execution: Uuid,
}

/// Save a schedule: a task run again and again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleSaveRequested {
    /// Its unique name.
    pub name: String,
    /// When, as a cron expression in UTC with five fields.
    pub cron: String,
    /// What.
    pub task: TaskRequested,
    /// Whether it fires.
    #[serde(default = "crate::commands::sync::yes")]
    pub enabled: bool,
}
