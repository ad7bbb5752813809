use serde::{Deserialize, Serialize};

use super::TaskRequested;

/// Create or replace a schedule, which runs a task periodically.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleSaveRequested {
    /// The schedule's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
    /// When to run: a cron expression of five fields.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub cron: String,
    /// The time zone of the expression, such as `Europe/Stockholm`; UTC if absent.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub time_zone: Option<String>,
    /// The task to run.
    pub task: TaskRequested,
    /// Whether the schedule is active; `true` if absent.
    #[serde(default = "crate::commands::sync::yes")]
    pub enabled: bool,
}

/// Delete a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleDeleteRequested {
    /// The schedule's unique name.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub name: String,
}
