//! One execution at a time works on a cluster of CloudVision; the others wait for their turn, as rows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_protocol::ExecutionState;
use lockstep_store::{
    CapScope, ExecutionRow, ExecutionTransaction, NewExecution, OpenExecution, QueuedElement, StoreError,
};
use serde_json::Value;

/// What becomes of a new execution on a cluster.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Turn {
    /// It begins.
    Begins,
    /// It waits until the earlier ones ended.
    Waits,
    /// It is not needed: this one does the same, and has not begun.
    Joins(Box<ExecutionRow>),
}

/// Decides about a new execution on a cluster, and locks the cluster until the end of the transaction.
pub(super) async fn turn(
    executions: &mut (dyn ExecutionTransaction + '_),
    new: &NewExecution,
    cluster: &CapScope,
) -> Result<Turn, StoreError> {
    executions.lock_caps(&BTreeSet::from([cluster.clone()])).await?;
    let open = of(executions.open_on_clusters().await?, cluster);
    for one in open.iter().filter(|open| covers(&open.row, new)) {
        // It is locked before it is looked at again: a worker may be about to begin it.
        let locked = executions.lock(one.row.id).await?;
        if let Some(row) = locked.filter(|row| covers(row, new)) {
            return Ok(Turn::Joins(Box::new(row)));
        }
    }
    Ok(if open.is_empty() {
        Turn::Begins
    } else {
        Turn::Waits
    })
}

/// After an execution ended: queues the one whose turn it is now.
pub(super) async fn pass_on(
    executions: &mut (dyn ExecutionTransaction + '_),
    ended: &ExecutionRow,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    let Some(cluster) = ended.request.cluster() else {
        return Ok(Vec::new());
    };
    let open = of(executions.open_on_clusters().await?, &cluster);
    if open.iter().any(|open| !open.waits) {
        return Ok(Vec::new());
    }
    executions.release(&cluster, 1, grace).await
}

/// How many executions have their turn on each of these scopes, as far as they are clusters.
pub(super) async fn with_turn(
    executions: &mut (dyn ExecutionTransaction + '_),
    scopes: &BTreeSet<CapScope>,
) -> Result<BTreeMap<CapScope, u32>, StoreError> {
    let mut counts = BTreeMap::new();
    if scopes.iter().any(|scope| matches!(scope, CapScope::Cluster(_))) {
        let open = executions.open_on_clusters().await?;
        for cluster in open
            .iter()
            .filter(|open| !open.waits)
            .filter_map(|open| open.row.request.cluster())
        {
            *counts.entry(cluster).or_insert(0) += 1;
        }
    }
    Ok(counts)
}

fn of(open: Vec<OpenExecution>, cluster: &CapScope) -> Vec<OpenExecution> {
    let is_of = |open: &OpenExecution| open.row.request.cluster().as_ref() == Some(cluster);
    open.into_iter().filter(is_of).collect()
}

/// Whether an execution will do all that a new one would: nothing of it has begun.
fn covers(row: &ExecutionRow, new: &NewExecution) -> bool {
    let NewExecution {
        provider,
        task_arguments,
        requested,
        pre_tasks,
        post_tasks,
        ..
    } = &row.request;
    row.state == ExecutionState::Pending
        && row.halt.is_none()
        && !row.paused
        && provider == &new.provider
        && includes(task_arguments, &new.task_arguments)
        && (pre_tasks, post_tasks) == (&new.pre_tasks, &new.post_tasks)
        && requested.dry_run == new.requested.dry_run
        && requested.arguments == new.requested.arguments
        && requested.limits == new.requested.limits
}

/// Whether a sweep with these arguments looks at all tasks at which another one does.
fn includes(arguments: &Value, others: &Value) -> bool {
    let is_whole = arguments
        .as_object()
        .is_some_and(|arguments| arguments.len() == 1);
    arguments == others || is_whole && others["look_again"].is_null()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sweep_of_all_tasks_includes_those_of_some() {
        let all = json!({"cluster": "oslo"});
        let one = json!({"cluster": "oslo", "devices": ["leaf1"]});
        let other = json!({"cluster": "oslo", "tasks": ["1811"]});
        let again = json!({"cluster": "oslo", "look_again": []});
        let table = [
            (&all, &all, true),
            (&all, &one, true),
            (&all, &other, true),
            (&one, &one, true),
            (&one, &all, false),
            (&one, &other, false),
            (&all, &again, false),
            (&again, &all, false),
        ];
        for (arguments, others, expected) in table {
            assert_eq!(includes(arguments, others), expected, "{arguments} {others}");
        }
    }
}
