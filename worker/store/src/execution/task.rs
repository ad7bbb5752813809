use std::fmt::Debug;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::commands::{TaskReference, TaskRequested};
use serde_json::Value;

use crate::StoreError;

/// Reads tasks and schedules.
#[async_trait]
pub trait Tasks: Debug + Send + Sync + 'static {
    /// Tasks whose name comes after `after` (by bytes), ordered by name, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn tasks(&self, after: Option<&str>, limit: u32) -> Result<Vec<TaskRow>, StoreError>;

    /// The task with this number or name.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn task(&self, reference: &TaskReference) -> Result<Option<TaskRow>, StoreError>;

    /// Schedules whose name comes after `after` (by bytes), ordered by name, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn schedules(&self, after: Option<&str>, limit: u32) -> Result<Vec<ScheduleRow>, StoreError>;
}

/// A task: a provider with arguments, under a unique name.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskRow {
    /// Its stable number.
    pub number: u64,
    /// Its unique name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The name of the provider that it runs.
    pub provider: String,
    /// The arguments of the provider.
    pub arguments: Value,
    /// The names of the tasks that run before it.
    pub pre_tasks: Vec<String>,
    /// The names of the tasks that run after it.
    pub post_tasks: Vec<String>,
    /// Its own arguments of a run, beside those of the provider: a JSON Schema.
    pub run_input_json_schema: Option<Value>,
    /// The UI schema of JSON Forms for the arguments of a run.
    pub run_input_ui_schema: Option<Value>,
    /// When it was saved last.
    pub saved_at: Timestamp,
    /// Who saved it last, as authenticated.
    pub saved_by: Option<String>,
}

/// A task to be saved: it replaces the one with the same name, which keeps its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTask {
    /// Its unique name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The name of the provider that it runs.
    pub provider: String,
    /// The arguments of the provider.
    pub arguments: Value,
    /// The names of the tasks that run before it.
    pub pre_tasks: Vec<String>,
    /// The names of the tasks that run after it.
    pub post_tasks: Vec<String>,
    /// Its own arguments of a run, beside those of the provider: a JSON Schema.
    pub run_input_json_schema: Option<Value>,
    /// The UI schema of JSON Forms for the arguments of a run.
    pub run_input_ui_schema: Option<Value>,
    /// When it is saved.
    pub at: Timestamp,
    /// Who saves it, as authenticated.
    pub by: Option<String>,
}

/// A schedule: it requests a task periodically.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduleRow {
    /// Its stable number.
    pub number: u64,
    /// Its unique name.
    pub name: String,
    /// A cron expression of five fields.
    pub cron: String,
    /// The time zone of the expression, as the IANA database names it.
    pub time_zone: String,
    /// What it requests.
    pub request: TaskRequested,
    /// Whether it is active.
    pub enabled: bool,
    /// When it fires next. `None` if it is not active, or never fires again.
    pub next_at: Option<Timestamp>,
    /// When it fired last.
    pub last_at: Option<Timestamp>,
    /// When it was saved last.
    pub saved_at: Timestamp,
    /// Who saved it last, as authenticated: the sender of what it requests.
    pub saved_by: Option<String>,
}

/// A schedule to be saved: it replaces the one with the same name, which keeps its number.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSchedule {
    /// Its unique name.
    pub name: String,
    /// A cron expression of five fields.
    pub cron: String,
    /// The time zone of the expression, as the IANA database names it.
    pub time_zone: String,
    /// What it requests.
    pub request: TaskRequested,
    /// Whether it is active.
    pub enabled: bool,
    /// When it fires next.
    pub next_at: Option<Timestamp>,
    /// When it is saved.
    pub at: Timestamp,
    /// Who saves it, as authenticated.
    pub by: Option<String>,
}

/// What was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SavedRow {
    /// Its number.
    pub number: u64,
    /// Whether it did not exist before.
    pub created: bool,
    /// Whether it is another one than before.
    pub changed: bool,
}
