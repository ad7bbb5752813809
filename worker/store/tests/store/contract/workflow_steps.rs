//! Executions that are steps of a workflow.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{ElementState, ExecutionState};
use lockstep_store::{
    CapScope, ElementEnd, ElementSource, ExecutionQuery, ExecutionReference, Halt, LeftOut, NewExecution,
    ParentStep, Parking, Records,
};
use serde_json::json;

use super::executions::{
    LONG, change, claim, elements, end, execution_id, finish, new_execution, numbers, owner, start, start_of,
};
use super::retention::expire;
use super::{Place, at, create_all};

/// A step of the execution with this number.
async fn step(place: &Place, name: &str, parent: u64, index: u32) -> Result<u64> {
    let new = NewExecution {
        parent: Some(ParentStep {
            execution: parent,
            phase: 0,
            step: index,
        }),
        ..new_execution(name, ExecuteOn::Device)
    };
    Ok(start_of(place, &new, &ElementSource::All).await?.number)
}

pub(crate) async fn elements_that_were_not_done_in_earlier_steps_are_left_out(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let workflow = start(place, "workflow", ExecuteOn::Global).await?.number;
    let first = step(place, "first", workflow, 0).await?;
    let me = owner("worker");
    let begun = claim(&*place.store, &numbers(place, first).await?, me, LONG).await?;
    let states = [
        ElementState::Successful,
        ElementState::Failed,
        ElementState::Filtered,
    ];
    let ends: Vec<ElementEnd> = begun
        .iter()
        .zip(states)
        .map(|(number, state)| end(*number, state))
        .collect();
    ensure!(finish(place, &ends, Some(me)).await?.len() == 3);
    let second = step(place, "second", workflow, 1).await?;
    let earlier = BTreeSet::from([first]);
    let left_out = change!(place.store, |executions| executions
        .leave_out(second, &earlier)
        .await?);
    let expected = LeftOut {
        elements: 2,
        in_first_stage: 2,
    };
    ensure!(left_out == expected, "{left_out:?}");
    for element in elements(place, second).await? {
        let skipped =
            element.state == ElementState::Filtered && element.reason.as_deref() == Some("left-out");
        ensure!(skipped == (element.name != "a"), "{element:?}");
    }
    // What is left out of one step is left out of the next.
    let third = step(place, "third", workflow, 2).await?;
    let earlier = BTreeSet::from([second]);
    let left_out = change!(place.store, |executions| executions
        .leave_out(third, &earlier)
        .await?);
    ensure!(left_out == expected, "{left_out:?}");
    let nothing = change!(place.store, |executions| {
        executions.leave_out(third, &BTreeSet::new()).await?
    });
    ensure!(nothing == LeftOut::default());
    let changed = async |execution: u64| -> Result<bool> {
        Ok(change!(place.store, |executions| {
            executions.any_changed(&BTreeSet::from([execution])).await?
        }))
    };
    ensure!(!changed(first).await? && !changed(third).await?);
    Ok(())
}

pub(crate) async fn an_element_waits_for_the_end_of_an_execution_with_its_data(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let workflow = start(place, "workflow", ExecuteOn::Global).await?.number;
    let first = step(place, "first", workflow, 0).await?;
    let me = owner("worker");
    let fleet = numbers(place, workflow).await?;
    ensure!(claim(&*place.store, &fleet, me, LONG).await?.len() == 1);
    let number = *fleet.first().context("the fleet")?;
    let waits = ElementEnd {
        parked: Some(Parking::Ended(first)),
        data: json!({"steps": [1]}).into(),
        ..end(number, ElementState::Pending)
    };
    let ended = finish(place, &[waits], Some(me)).await?;
    ensure!(ended.len() == 1 && ended[0].parked, "{ended:?}");
    let element = place.store.element(number).await?.context("the element")?;
    ensure!(element.row.waits_for == Some(CapScope::Ended(first)) && element.row.parked.is_none());
    ensure!(element.data == json!({"steps": [1]}), "{element:?}");
    let waiting = change!(place.store, |executions| executions.waiting(10).await?);
    ensure!(waiting.get(&CapScope::Ended(first)) == Some(&1), "{waiting:?}");
    let released = change!(place.store, |executions| {
        executions.release(&CapScope::Ended(first), 1, LONG).await?
    });
    ensure!(
        released.len() == 1 && released[0].number == number,
        "{released:?}"
    );
    Ok(())
}

pub(crate) async fn steps_are_found_by_their_workflow(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let workflow = start(place, "workflow", ExecuteOn::Global).await?.number;
    let first = step(place, "first", workflow, 0).await?;
    let second = step(place, "second", workflow, 1).await?;
    let query = ExecutionQuery {
        parent: Some(workflow),
        limit: 10,
        ..ExecutionQuery::default()
    };
    let found = place.store.executions(&query).await?;
    ensure!(
        found.iter().map(|row| row.number).eq([second, first]),
        "{found:?}"
    );
    ensure!(place.store.count_executions(&query).await? == 2);
    let query = ExecutionQuery {
        before: Some(second),
        ..query
    };
    ensure!(place.store.executions(&query).await?.len() == 1);
    let open = async || -> Result<_> {
        Ok(change!(place.store, |executions| executions
            .open_step(workflow)
            .await?))
    };
    ensure!(open().await? == Some(execution_id("first")));
    let now = place.store.now().await?;
    change!(place.store, |executions| {
        for name in ["first", "second"] {
            let mut row = executions.lock(execution_id(name)).await?.context("a step")?;
            row.state = ExecutionState::Failed;
            row.ended_at = Some(now);
            executions.update(&row).await?;
        }
    });
    ensure!(open().await?.is_none());
    Ok(())
}

pub(crate) async fn a_step_of_a_cancelled_workflow_needs_a_look(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let workflow = start(place, "workflow", ExecuteOn::Global).await?.number;
    let first = step(place, "first", workflow, 0).await?;
    let now = place.store.now().await?;
    let neglected = async || -> Result<Vec<u64>> {
        let rows = change!(place.store, |executions| executions.neglected(now, 10).await?);
        Ok(rows.into_iter().map(|row| row.number).collect())
    };
    ensure!(!neglected().await?.contains(&first));
    change!(place.store, |executions| {
        let mut row = executions
            .lock(execution_id("workflow"))
            .await?
            .context("the workflow")?;
        row.halt = Some(Halt::Cancelled);
        executions.update(&row).await?;
    });
    ensure!(neglected().await?.contains(&first));
    let cancelled = change!(place.store, |executions| {
        executions.was_cancelled(execution_id("first")).await?
    });
    ensure!(cancelled);
    Ok(())
}

pub(crate) async fn steps_are_kept_until_their_workflow_ended(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let workflow = start(place, "workflow", ExecuteOn::Global).await?.number;
    let first = step(place, "first", workflow, 0).await?;
    let second = step(place, "second", workflow, 1).await?;
    let end_of = async |name: &str| -> Result<()> {
        change!(place.store, |executions| {
            let mut row = executions
                .lock(execution_id(name))
                .await?
                .context("an execution")?;
            row.state = ExecutionState::Aborted;
            row.ended_at = Some(at());
            executions.update(&row).await?;
        });
        Ok(())
    };
    let exists = async |number: u64| -> Result<bool> {
        let reference = ExecutionReference::Number(number);
        Ok(place.store.execution(&reference).await?.is_some())
    };
    end_of("first").await?;
    expire(place, &Records::Executions, 10).await?;
    ensure!(exists(first).await?, "the workflow looks at it");
    ensure!(elements(place, first).await?.len() == 1);
    // A workflow may end before its last step, when it is cancelled.
    end_of("workflow").await?;
    expire(place, &Records::Executions, 10).await?;
    ensure!(!exists(first).await? && !exists(workflow).await? && exists(second).await?);
    let cancelled = change!(place.store, |executions| {
        executions.was_cancelled(execution_id("second")).await?
    });
    ensure!(!cancelled);
    end_of("second").await?;
    expire(place, &Records::Executions, 10).await?;
    ensure!(!exists(second).await?);
    Ok(())
}
