//! Finds what a request names by an id.

use async_graphql::ID;
use lockstep_protocol::commands::TaskReference;
use lockstep_store::{ExecutionReference, ExecutionRow};

use super::error::{self, CallError};
use crate::context::Shared;

/// The execution with this number or id.
///
/// # Errors
/// There is none, or the store cannot be read.
pub(super) async fn execution(shared: &Shared, id: &ID) -> Result<ExecutionRow, async_graphql::Error> {
    let unknown = || {
        let reason = format!(
            "no execution has the number or the id {:?}; ended ones are deleted after a while",
            id.as_str()
        );
        CallError::new("unknown-execution", reason).at("id")
    };
    let reference = execution_reference(id).ok_or_else(unknown)?;
    let found = shared.context.executions.execution(&reference).await;
    Ok(found.map_err(error::of_store)?.ok_or_else(unknown)?)
}

/// The number or the id of an execution; `None` if the text is neither.
pub(super) fn execution_reference(id: &ID) -> Option<ExecutionReference> {
    let number = id.parse().map(ExecutionReference::Number);
    number.or_else(|_| id.parse().map(ExecutionReference::Id)).ok()
}

/// The names of tasks that are named by number or name, in their order.
///
/// # Errors
/// A number belongs to no task; the place is that of the argument. Or the store cannot be read.
pub(super) async fn task_names(
    shared: &Shared,
    ids: &[ID],
    argument: &str,
) -> Result<Vec<String>, async_graphql::Error> {
    let mut names = Vec::with_capacity(ids.len());
    for (index, id) in ids.iter().enumerate() {
        let Ok(number) = id.parse() else {
            names.push(id.to_string());
            continue;
        };
        let task = shared.context.tasks.task(&TaskReference::Number(number)).await;
        let task = task.map_err(error::of_store)?.ok_or_else(|| {
            CallError::new("unknown-task", format!("no task has the number {number}"))
                .at(format!("{argument}[{index}]"))
        })?;
        names.push(task.name);
    }
    Ok(names)
}
