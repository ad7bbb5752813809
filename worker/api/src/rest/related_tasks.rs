//! The pre- and post-tasks of a task that is to be saved.

use std::collections::BTreeSet;

use lockstep_protocol::commands::{TaskReference, TaskSaveRequested};
use lockstep_protocol::rest::TaskProblem;
use lockstep_store::{StoreError, Tasks};

/// What is wrong with them: they do not exist, or the task would run before or after itself.
pub(super) async fn problems(
    tasks: &dyn Tasks,
    task: &TaskSaveRequested,
) -> Result<Vec<TaskProblem>, StoreError> {
    let mut problems = Vec::new();
    for (list, names) in [("pre_tasks", &task.pre_tasks), ("post_tasks", &task.post_tasks)] {
        for (index, name) in names.iter().enumerate() {
            let reason = match reaches(tasks, name, &task.name).await? {
                Reach::Unknown => format!("no task is named {name:?}; `lockstep tasks list` shows all tasks"),
                Reach::Itself => format!("{} would run before or after itself by {name}", task.name),
                Reach::Others => continue,
            };
            let place = format!("$.{list}[{index}]");
            problems.push(TaskProblem { place, reason });
        }
    }
    Ok(problems)
}

/// Where the names in a task lead.
enum Reach {
    /// The task does not exist.
    Unknown,
    /// Back to the task that is to be saved.
    Itself,
    /// To other tasks only.
    Others,
}

async fn reaches(tasks: &dyn Tasks, from: &str, to: &str) -> Result<Reach, StoreError> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(name) = open.pop() {
        if name == to {
            return Ok(Reach::Itself);
        }
        if seen.contains(&name) {
            continue;
        }
        let Some(row) = tasks.task(&TaskReference::Name(name.clone())).await? else {
            if name == from {
                return Ok(Reach::Unknown);
            }
            continue;
        };
        open.extend(row.pre_tasks.into_iter().chain(row.post_tasks));
        seen.insert(name);
    }
    Ok(Reach::Others)
}
