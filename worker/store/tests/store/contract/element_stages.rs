//! Elements go through the stages of their execution.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, EntityType, Level};
use lockstep_store::{
    BegunStage, CapScope, ElementEnd, ElementLevels, ElementRow, ElementSource, ExecutionRow, Halt,
    NewExecution, PhaseTask, QueuedElement, StageRow, StoreError,
};
use serde_json::{Value, json};

use super::executions::{
    DEVICES, LONG, NO_TIME, change, claim, elements, end, entity_result, execution_id, finish, fleet,
    new_execution, owner, start_at,
};
use super::{Place, at, create_all};

/// The fleet in the stages 0 and 2, devices in stage 1.
const LEVELS: ElementLevels = ElementLevels {
    global: Some(0),
    devices: Some(1),
    groups: None,
    group_clients: false,
    interface_clients: false,
};

async fn begin(
    place: &Place,
    execution: u64,
    stage: u16,
    queued: u64,
    scope: &CapScope,
) -> Result<BegunStage> {
    Ok(change!(place.store, |executions| executions
        .begin_stage(execution, stage, queued, scope, LONG)
        .await?))
}

/// The end of a stage, after which an element goes on.
fn passed(number: u64, next: u16) -> ElementEnd {
    ElementEnd {
        next: Some(next),
        data: Value::Null.into(),
        message: None,
        ..end(number, ElementState::Pending)
    }
}

async fn row(place: &Place, number: u64) -> Result<ElementRow> {
    Ok(place.store.element(number).await?.context("the element")?.row)
}

async fn locked(place: &Place, name: &str, change: impl FnOnce(&mut ExecutionRow)) -> Result<ExecutionRow> {
    let id = execution_id(name);
    Ok(change!(place.store, |executions| {
        let mut row = executions.lock(id).await?.context("the execution")?;
        change(&mut row);
        executions.update(&row).await?;
        executions.lock(id).await?.context("the execution")?
    }))
}

pub(crate) async fn an_element_goes_on_when_its_next_stage_begins(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let started = start_at(
        place,
        &new_execution("first", ExecuteOn::Device),
        &ElementSource::All,
        LEVELS,
    )
    .await?;
    let execution = started.number;
    let rows = elements(place, execution).await?;
    let [global, a, b, c] = [0, 1, 2, 3].map(|index: usize| rows[index].number);
    let me = owner("worker");
    ensure!(claim(&*place.store, &[global].into(), me, LONG).await? == [global]);
    let ended = finish(place, &[passed(global, 2)], Some(me)).await?;
    ensure!(
        ended.len() == 1 && ended[0].state == ElementState::Pending,
        "{ended:?}"
    );
    ensure!(
        finish(place, &[passed(global, 2)], Some(me)).await?.is_empty(),
        "it does not run"
    );

    let waits = row(place, global).await?;
    ensure!(
        waits.state == ElementState::Pending && waits.stage == 2 && waits.attempts == 1,
        "{waits:?}"
    );
    ensure!(waits.waits_for == Some(CapScope::Stage(execution, 2)) && waits.ended_at.is_none());
    let detail = place.store.element(global).await?.context("the element")?;
    ensure!(detail.data == Value::Null);
    let announced = change!(place.store, |executions| executions
        .unannounced(Some(&[global].into()), 10)
        .await?);
    ensure!(announced.is_empty(), "it has not ended");

    // Of three elements one is queued.
    let scope = CapScope::Execution(execution);
    let begun = begin(place, execution, 1, 1, &scope).await?;
    let queued = QueuedElement {
        number: a,
        lane: Lane::Devices,
    };
    ensure!(begun.elements == 3 && begun.queued == [queued], "{begun:?}");
    for number in [b, c] {
        ensure!(row(place, number).await?.waits_for == Some(scope.clone()));
    }
    ensure!(begin(place, execution, 1, 9, &scope).await? == BegunStage::default());

    // Its next attempt is the second one, and the first one in its stage.
    let begun = begin(place, execution, 2, u64::MAX, &scope).await?;
    ensure!(begun.elements == 1 && begun.queued.len() == 1, "{begun:?}");
    ensure!(claim(&*place.store, &[global].into(), me, NO_TIME).await? == [global]);
    let expired = change!(place.store, |executions| executions.expired(10).await?);
    ensure!(
        (expired[0].attempt, expired[0].attempts_in_stage, expired[0].stage) == (2, 1, 2),
        "{expired:?}"
    );
    let last = ElementEnd {
        attempt: 2,
        ..end(global, ElementState::Successful)
    };
    ensure!(finish(place, &[last], Some(me)).await?.len() == 1);
    let ended = row(place, global).await?;
    ensure!(
        ended.ended_at.is_some() && ended.waits_for.is_none() && ended.stage == 2,
        "{ended:?}"
    );

    for wrong in [
        ElementEnd {
            next: Some(2),
            ..end(a, ElementState::Successful)
        },
        ElementEnd {
            next: None,
            ..passed(a, 2)
        },
    ] {
        let refused = finish(place, &[wrong], Some(me))
            .await
            .err()
            .context("neither an end nor none")?;
        ensure!(
            matches!(refused.downcast_ref(), Some(StoreError::Refused { .. })),
            "{refused:?}"
        );
    }
    Ok(())
}

pub(crate) async fn an_element_that_waits_for_a_stage_is_skipped(place: &Place) -> Result<()> {
    create_all(place, &["a"]).await?;
    let new = new_execution("first", ExecuteOn::Device);
    let started = start_at(place, &new, &ElementSource::All, LEVELS).await?;
    let skipped = change!(place.store, |executions| {
        executions
            .skip_unstarted(started.number, Halt::Cancelled, "by anna", 10)
            .await?
    });
    ensure!(skipped == 2);
    let rows = elements(place, started.number).await?;
    ensure!(
        rows.iter()
            .all(|row| row.state == ElementState::Aborted && row.waits_for.is_none())
    );
    ensure!(begin(place, started.number, 1, 9, &CapScope::Overall).await? == BegunStage::default());
    Ok(())
}

/// What a stage whose elements all ended did not begin is begun by the periodic task.
pub(crate) async fn a_stage_that_did_not_begin_is_noticed(place: &Place) -> Result<()> {
    create_all(place, &["a", "b"]).await?;
    for name in ["full", "open", "halted"] {
        let new = new_execution(name, ExecuteOn::Device);
        start_at(place, &new, &ElementSource::All, LEVELS).await?;
    }
    let stage = |ended| StageRow {
        index: 1,
        elements: 2,
        ended,
    };
    let row = locked(place, "full", |row| row.stage = stage(2)).await?;
    ensure!(row.stage == stage(2), "{row:?}");
    locked(place, "open", |row| row.stage = stage(1)).await?;
    let halted = locked(place, "halted", |row| {
        row.stage = stage(2);
        row.halt = Some(Halt::Cancelled);
    })
    .await?;
    change!(place.store, |executions| {
        executions
            .skip_unstarted(halted.number, Halt::Cancelled, "", 10)
            .await?
    });
    let neglected = change!(place.store, |executions| executions.neglected(at(), 10).await?);
    let names: Vec<&str> = neglected
        .iter()
        .map(|row| row.request.identity.id.as_str())
        .collect();
    ensure!(names == ["full"], "{names:?}");
    Ok(())
}

pub(crate) async fn items_become_elements_of_the_next_stage(place: &Place) -> Result<()> {
    let new = NewExecution {
        lane: Lane::Cvp,
        ..new_execution("sweep", ExecuteOn::Global)
    };
    let levels = ElementLevels {
        global: Some(0),
        ..ElementLevels::default()
    };
    let started = start_at(place, &new, &ElementSource::Global, levels).await?;
    let global = elements(place, started.number).await?[0].number;
    let me = owner("worker");
    claim(&*place.store, &[global].into(), me, LONG).await?;
    let items = vec![
        ("task 7".to_owned(), json!({"id": "7", "nul": "\u{0}"})),
        ("task 8".to_owned(), json!(null)),
    ];
    let found = ElementEnd {
        items,
        ..passed(global, 2)
    };
    // Another attempt finds nothing.
    let stale = ElementEnd {
        attempt: 2,
        ..found.clone()
    };
    ensure!(finish(place, &[stale], Some(me)).await?.is_empty());
    ensure!(finish(place, &[found], Some(me)).await?.len() == 1);
    let execution = locked(place, "sweep", |_| {}).await?;
    ensure!(execution.counts.elements == 3, "{execution:?}");
    let rows = elements(place, started.number).await?;
    let items: Vec<(&str, u16)> = rows[1..].iter().map(|row| (&*row.name, row.stage)).collect();
    ensure!(items == [("task 7", 1), ("task 8", 1)], "{items:?}");
    ensure!(rows[1].entity_type == EntityType::Item);
    let begun = begin(place, started.number, 1, 9, &CapScope::Overall).await?;
    let lanes: Vec<Lane> = begun.queued.iter().map(|element| element.lane).collect();
    ensure!(
        begun.elements == 2 && lanes == [Lane::Cvp, Lane::Cvp],
        "{begun:?}"
    );
    let asked: BTreeSet<u64> = rows[1..].iter().map(|row| row.number).collect();
    let candidates = change!(place.store, |executions| executions.candidates(&asked).await?);
    let item = &candidates.elements[0];
    ensure!(item.item == Some(json!({"id": "7", "nul": "\u{0}"})), "{item:?}");
    ensure!(item.stage == 1 && item.device.is_none() && item.others.is_empty());
    Ok(())
}

/// By the provider of the phase it is decided whether a stage is repeated.
pub(crate) async fn a_lost_element_has_the_provider_of_its_phase(place: &Place) -> Result<()> {
    fleet(place).await?;
    let task = |provider: &str| PhaseTask {
        task: format!("{provider} all"),
        provider: provider.to_owned(),
        arguments: json!({"x": 1}),
        run_arguments: json!({"n": 1}),
        run_on: ExecuteOn::Device,
    };
    let planned = |phase| lockstep_store::PlannedStage {
        phase,
        stage: lockstep_protocol::Stage::Devices,
    };
    let new = NewExecution {
        pre_tasks: vec![task("before")],
        post_tasks: vec![task("after"), task("last")],
        run_input_json_schema: Some(json!({"type": "object"})),
        plan: [0, 1, 2, 3].map(planned).into(),
        ..new_execution("first", ExecuteOn::Device)
    };
    let started = start_at(place, &new, &ElementSource::All, DEVICES).await?;
    let stored = locked(place, "first", |_| {}).await?;
    ensure!(stored.request.plan == new.plan && stored.request.pre_tasks == new.pre_tasks);
    ensure!(stored.request.post_tasks == new.post_tasks);
    // The schema is read only where it is needed.
    let number = started.number;
    let own = change!(place.store, |executions| executions
        .run_input_json_schema(number)
        .await?);
    ensure!(
        stored.request.run_input_json_schema.is_none() && own == new.run_input_json_schema,
        "{own:?}"
    );
    let none = change!(place.store, |executions| executions
        .run_input_json_schema(number + 1)
        .await?);
    ensure!(none.is_none());
    let number = elements(place, started.number).await?[0].number;
    let me = owner("worker");
    for (stage, provider) in [(0, "before"), (1, "ping"), (2, "after"), (3, "last")] {
        let attempt = u32::from(stage) + 1;
        ensure!(claim(&*place.store, &[number].into(), me, NO_TIME).await?.len() == 1);
        let expired = change!(place.store, |executions| executions.expired(10).await?);
        ensure!(
            expired[0].provider == provider && expired[0].stage == stage,
            "{expired:?}"
        );
        ensure!(expired[0].attempts_in_stage == 1 && !expired[0].has_journal);
        let results = vec![entity_result(Level::Device, 1, ElementState::Pending)];
        let next = ElementEnd {
            attempt,
            results,
            ..passed(number, stage + 1)
        };
        ensure!(finish(place, &[next], None).await?.len() == 1);
        begin(place, started.number, stage + 1, 9, &CapScope::Overall).await?;
    }
    Ok(())
}
