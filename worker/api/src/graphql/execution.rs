use async_graphql::{ID, Object};
use lockstep_store::ExecutionRow;

use super::task::NeopsTask;

/// One run of a task.
#[derive(Debug)]
pub(crate) struct Execution(pub(super) ExecutionRow);

#[Object]
impl Execution {
    /// Its stable number, which grows.
    async fn id(&self) -> ID {
        self.0.number.into()
    }

    /// Its state.
    async fn state(&self) -> String {
        self.0.state.to_string()
    }

    /// The task, as it was when the execution was accepted.
    async fn neops_task(&self) -> NeopsTask {
        NeopsTask {
            number: self.0.request.task_number,
            name: self.0.request.task.clone(),
        }
    }
}
