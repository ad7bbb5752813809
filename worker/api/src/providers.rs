use std::fmt::Debug;

use lockstep_protocol::commands::TaskSaveRequested;
use lockstep_protocol::rest::{ProviderView, TaskForm, TaskProblem, TaskView};
use serde_json::Value;

/// The providers of this version, as data: the console runs none.
pub trait Providers: Debug + Send + Sync + 'static {
    /// All providers, ordered by name.
    fn list(&self) -> Vec<ProviderView>;

    /// Everything that keeps a worker of this version from saving the task: an unknown provider, or arguments that its schema does not
    /// accept. The places begin with `$`, which is the task.
    fn problems(&self, task: &TaskSaveRequested) -> Vec<TaskProblem>;

    /// Everything that keeps a worker of this version from running a task with this form and these arguments. The places begin with
    /// `$.arguments`.
    fn run_problems(&self, form: &TaskForm, arguments: &Value) -> Vec<TaskProblem>;

    /// The forms of a task and of its runs.
    ///
    /// # Errors
    /// This version does not have its provider, or the provider changed so that the task has to be saved again.
    fn form(&self, task: TaskView) -> Result<TaskForm, TaskProblem>;
}
