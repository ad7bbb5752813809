use async_graphql::SimpleObject;
use lockstep_store::NewExecution;

use crate::rest::stages;

/// A stage of an execution: the steps of a task between two barriers. All elements end it before the next one begins.
#[derive(Debug, SimpleObject)]
pub(crate) struct Stage {
    /// Its index among the stages of the execution.
    index: u16,
    /// The index of the phase: the pre-tasks first, then the task itself, then the post-tasks.
    phase: u8,
    /// The name that the task of the phase had.
    task: String,
    /// The steps, such as `devices`.
    #[graphql(name = "stage")]
    steps: String,
}

impl Stage {
    /// The stage with this index.
    pub(super) fn at(request: &NewExecution, index: u16) -> Option<Self> {
        stages::at(request, index).map(|view| Self {
            index: view.index,
            phase: view.phase,
            task: view.task,
            steps: view.stage.to_string(),
        })
    }

    /// All stages, in their order.
    pub(super) fn all(request: &NewExecution) -> Vec<Self> {
        (0..).map_while(|index| Self::at(request, index)).collect()
    }
}
