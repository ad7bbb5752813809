use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::commands::TaskRequested;

/// A schedule in the answer of `GET /v1/schedules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScheduleView {
    /// A number that stays the same as long as the schedule exists.
    pub number: u64,
    /// Its unique name.
    pub name: String,
    /// When it requests the task: a cron expression of five fields.
    pub cron: String,
    /// The time zone of the expression, as the IANA database names it.
    pub time_zone: String,
    /// What it requests.
    pub task: TaskRequested,
    /// Whether it is active.
    pub enabled: bool,
    /// When it requests the task next; null if it is not active, or never does again.
    pub next_at: Option<Timestamp>,
    /// When it requested the task last; null if it never did.
    pub last_at: Option<Timestamp>,
    /// When it was saved last.
    pub saved_at: Timestamp,
    /// The authenticated sender who saved it last: the sender of what it requests.
    pub saved_by: Option<String>,
}

/// The answer of `GET /v1/schedules`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SchedulePage {
    /// One page of schedules, ordered by name.
    pub schedules: Vec<ScheduleView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}
