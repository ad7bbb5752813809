use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A task in the answers of `GET /v1/tasks` and `GET /v1/tasks/{number or name}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskView {
    /// A number that stays the same as long as the task exists.
    pub number: u64,
    /// Its unique name.
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The name of the provider that it runs.
    pub provider: String,
    /// The arguments of the provider.
    pub arguments: Value,
    /// The names of the tasks that run before it, on the same entities.
    #[serde(default)]
    pub pre_tasks: Vec<String>,
    /// The names of the tasks that run after it.
    #[serde(default)]
    pub post_tasks: Vec<String>,
    /// Its own arguments of a run, beside those of the provider: a JSON Schema.
    #[serde(default)]
    pub run_input_json_schema: Option<Value>,
    /// The UI schema of JSON Forms for the arguments of a run.
    #[serde(default)]
    pub run_input_ui_schema: Option<Value>,
    /// When it was saved last.
    pub saved_at: Timestamp,
    /// The authenticated sender who saved it last.
    pub saved_by: Option<String>,
}

/// The answer of `GET /v1/tasks/{number or name}/form`: what a front end needs to change a task and to run it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskForm {
    /// The number of the task.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// The name of its provider.
    pub provider: String,
    /// The arguments of the provider, which the form of the task begins with.
    pub arguments: Value,
    /// The JSON Schema of these arguments.
    pub json_schema: Value,
    /// The UI schema of JSON Forms for them; null for one that a form makes of the schema.
    pub ui_schema: Option<Value>,
    /// The JSON Schema of the arguments of a run: those of the provider and those of the task.
    pub run_input_json_schema: Value,
    /// The UI schema of JSON Forms for the arguments of a run; null for one that a form makes of the schema.
    pub run_input_ui_schema: Option<Value>,
}

/// The answer of `GET /v1/tasks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskPage {
    /// One page of tasks, ordered by name.
    pub tasks: Vec<TaskView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The answer of `POST /v1/tasks/validate`: whether a worker of the console's version would save the task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskValidation {
    /// Whether there is no problem.
    pub valid: bool,
    /// Everything that is wrong.
    pub problems: Vec<TaskProblem>,
}

/// Something wrong in a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskProblem {
    /// The place in the task, as a JSON path such as `$.arguments.commands`.
    pub place: String,
    /// What is wrong there.
    pub reason: String,
}
