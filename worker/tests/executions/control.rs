//! Executions are cancelled in every state, paused, stopped, run again, and requested by schedules.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::ExecutionState::{Aborted, PartialFailed, Successful};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionPauseRequested, ExecutionRelaunchRequested, ExecutionResumeRequested,
    ExecutionsResumeRequested, ExecutionsStopRequested, RunLimits, ScheduleSaveRequested,
};
use lockstep_protocol::{Envelope, Kind, MessageKey, WorkResult};
use lockstep_store::{ElementQuery, ExecutionQuery, Keys};
use lockstep_testbed::wait;
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, now, on_both, outgoing, some, source, unlimited};
use crate::store::Ground;

on_both! {
    cancelling_ends_what_is_queued_what_runs_and_what_waits,
    cancelling_while_no_worker_takes_elements_ends_in_chunks,
    an_execution_that_was_cancelled_before_it_existed_ends_at_once,
    an_execution_that_was_cancelled_while_it_was_stored_ends,
    a_paused_execution_begins_nothing_until_it_is_resumed,
    a_stop_of_all_lasts_until_they_are_resumed,
    the_failed_elements_are_run_again_with_another_argument,
    a_deadline_ends_an_execution,
    a_schedule_fires_once_whoever_lives,
}

fn changed(result: &WorkResult) -> Option<bool> {
    match result {
        WorkResult::CommandApplied(applied) => Some(applied.changed),
        _ => None,
    }
}

async fn cancelling_ends_what_is_queued_what_runs_and_what_waits(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 12).await?;
    // One listens, one does not.
    scene.script.set("sw0", Act::Wait);
    scene.script.set("sw1", Act::Hang);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        at_once: some(2),
        ..unlimited()
    };
    let id = scene.run("once", &(0..12).collect::<Vec<_>>(), limits).await?;
    scene.running(2).await?;
    let cancel = ExecutionCancelRequested { execution: id };
    let first = scene.ask(cancel.clone()).await?;
    ensure!(changed(&first) == Some(true), "{first:?}");
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted, "{row:?}");
    ensure!(
        row.reason
            .as_deref()
            .is_some_and(|reason| reason.starts_with("cancelled by ")),
        "{row:?}"
    );
    let elements = scene.elements(id).await?;
    for (name, element) in &elements {
        ensure!(element.reason.as_deref() == Some("cancelled"), "{element:?}");
        let failed = matches!(name.as_str(), "sw0" | "sw1");
        ensure!((element.attempts > 0) == failed, "{element:?}");
    }
    ensure!((row.counts.failed, row.counts.skipped) == (2, 10), "{row:?}");
    let again = scene.ask(cancel).await?;
    ensure!(changed(&again) == Some(false), "{again:?}");
    worker.stop().await
}

async fn cancelling_while_no_worker_takes_elements_ends_in_chunks(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 2500).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    scene.ask(ExecutionsStopRequested { note: None }).await?;
    let id = scene.run("repeatable", &[], unlimited()).await?;
    scene.ask(ExecutionCancelRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted && row.counts.skipped == 2500, "{row:?}");
    ensure!(scene.script.begun_in_all() == 0);
    scene.options.places = 1;
    worker.stop().await
}

async fn an_execution_that_was_cancelled_before_it_existed_ends_at_once(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 3).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let request = scene.request("repeatable", &[0, 1, 2], unlimited()).await?;
    let envelope = Envelope::new(source(), now(), request);
    let key = MessageKey {
        identity: envelope.identity.clone(),
        actor: Some(scene.bus.user().into()),
    };
    let id: Uuid = key.derive(Kind::ExecutionAccepted, 0).as_str().parse()?;
    let cancelled = scene.ask(ExecutionCancelRequested { execution: id }).await?;
    ensure!(changed(&cancelled) == Some(true), "{cancelled:?}");
    scene.bus.publish(vec![outgoing(&envelope)]).await?;
    let accepted = scene.answer(&envelope).await?;
    ensure!(
        matches!(&accepted, WorkResult::ExecutionAccepted(accepted) if accepted.execution == id),
        "{accepted:?}"
    );
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted && row.counts.skipped == 3, "{row:?}");
    ensure!(scene.script.begun_in_all() == 0);
    worker.stop().await
}

/// The transaction of the cancel did not see the execution, and that of the execution not the cancel.
async fn an_execution_that_was_cancelled_while_it_was_stored_ends(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    scene.script.set("sw0", Act::Wait);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("once", &[0], unlimited()).await?;
    scene.running(1).await?;
    let (facts, mut transaction) = scene.store.unit_of_work.begin(&[], &Keys::default()).await?;
    transaction.executions().cancel_unknown(id, now(), None).await?;
    transaction.commit(&facts).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted && row.counts.failed == 1, "{row:?}");
    worker.stop().await
}

async fn a_paused_execution_begins_nothing_until_it_is_resumed(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 6).await?;
    scene.script.set("sw0", Act::Gate);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        at_once: some(1),
        ..unlimited()
    };
    let id = scene
        .run("repeatable", &(0..6).collect::<Vec<_>>(), limits)
        .await?;
    scene.running(1).await?;
    let paused = scene.ask(ExecutionPauseRequested { execution: id }).await?;
    ensure!(changed(&paused) == Some(true), "{paused:?}");
    // What runs finishes.
    scene.script.gate.notify_one();
    wait::until("the end of the first", PATIENCE, async || {
        scene.execution(id).await.is_ok_and(|row| row.counts.done == 1)
    })
    .await?;
    let moment = tokio::time::timeout(Duration::from_millis(500), scene.begun(2)).await;
    ensure!(moment.is_err(), "more began");
    let resumed = scene.ask(ExecutionResumeRequested { execution: id }).await?;
    ensure!(changed(&resumed) == Some(true), "{resumed:?}");
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    let unknown = scene
        .ask(ExecutionPauseRequested {
            execution: Uuid::nil(),
        })
        .await?;
    ensure!(
        matches!(&unknown, WorkResult::MessageRejected(rejected) if rejected.code.as_str() == "unknown-execution"),
        "{unknown:?}"
    );
    worker.stop().await
}

async fn a_stop_of_all_lasts_until_they_are_resumed(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 20).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let stopped = scene
        .ask(ExecutionsStopRequested {
            note: Some("fire".to_owned()),
        })
        .await?;
    ensure!(changed(&stopped) == Some(true), "{stopped:?}");
    let id = scene
        .run("repeatable", &(0..20).collect::<Vec<_>>(), unlimited())
        .await?;
    wait::until("that all wait", PATIENCE, async || {
        let elements = scene.elements(id).await;
        matches!(elements, Ok(elements) if elements.values().all(|element| element.waits_for.is_some()))
    })
    .await?;
    ensure!(scene.script.begun_in_all() == 0);
    let resumed = scene.ask(ExecutionsResumeRequested {}).await?;
    ensure!(changed(&resumed) == Some(true), "{resumed:?}");
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 20, "{row:?}");
    first.stop().await?;
    second.stop().await
}

async fn the_failed_elements_are_run_again_with_another_argument(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 5).await?;
    scene.script.set("sw1", Act::Fail);
    scene.script.set("sw3", Act::Fail);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0, 1, 2, 3, 4], unlimited()).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed, "{row:?}");
    scene.script.set("sw1", Act::Now);
    scene.script.set("sw3", Act::Now);
    let relaunch = ExecutionRelaunchRequested {
        execution: id,
        arguments: [("count".to_owned(), 7.into())].into_iter().collect(),
        dry_run: None,
    };
    let accepted = match scene.ask(relaunch).await? {
        WorkResult::ExecutionAccepted(accepted) => accepted,
        other => anyhow::bail!("{other:?}"),
    };
    let row = scene.ended(accepted.execution).await?;
    ensure!(row.state == Successful && row.counts.elements == 2, "{row:?}");
    ensure!(row.request.relaunch_of == Some(id), "{row:?}");
    let query = ElementQuery {
        execution: row.number,
        limit: 10,
        ..ElementQuery::default()
    };
    for element in scene.store.executions.elements(&query).await? {
        let detail = scene.store.executions.element(element.number).await?;
        ensure!(
            detail.is_some_and(|detail| detail.data["count"] == 7),
            "{element:?}"
        );
    }
    worker.stop().await
}

async fn a_deadline_ends_an_execution(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 4).await?;
    for number in 0..4 {
        scene.script.set(&format!("sw{number}"), Act::Wait);
    }
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        at_once: some(1),
        deadline_seconds: some(1),
        ..unlimited()
    };
    let id = scene.run("once", &[0, 1, 2, 3], limits).await?;
    let row = scene.ended(id).await?;
    ensure!((row.counts.failed, row.counts.skipped) == (1, 3), "{row:?}");
    for element in scene.elements(id).await?.values() {
        ensure!(element.reason.as_deref() == Some("deadline"), "{element:?}");
    }
    worker.stop().await
}

async fn a_schedule_fires_once_whoever_lives(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let schedule = ScheduleSaveRequested {
        name: "each minute".to_owned(),
        cron: "* * * * *".to_owned(),
        time_zone: None,
        task: scene.request("repeatable", &[0], unlimited()).await?,
        enabled: true,
    };
    let invalid = ScheduleSaveRequested {
        cron: "0 0 30 2 *".to_owned(),
        ..schedule.clone()
    };
    let refused = scene.ask(invalid).await?;
    ensure!(
        matches!(&refused, WorkResult::MessageRejected(rejected) if rejected.code.as_str() == "invalid-schedule"),
        "{refused:?}"
    );
    let saved = scene.ask(schedule).await?;
    ensure!(changed(&saved) == Some(true), "{saved:?}");
    // It missed the last instant, ten seconds ago.
    let instant = now() - Duration::from_secs(10);
    let (facts, mut transaction) = scene.store.unit_of_work.begin(&[], &Keys::default()).await?;
    let number = match saved {
        WorkResult::CommandApplied(applied) => applied.number.unwrap_or_default(),
        other => anyhow::bail!("{other:?}"),
    };
    transaction
        .executions()
        .advance_schedule(number, None, Some(instant))
        .await?;
    transaction.commit(&facts).await?;
    let query = ExecutionQuery {
        limit: 10,
        ..ExecutionQuery::default()
    };
    let found = wait::until("the execution of the schedule", PATIENCE, async || {
        let found = scene
            .store
            .executions
            .executions(&query)
            .await
            .unwrap_or_default();
        (!found.is_empty()).then_some(found)
    })
    .await?;
    // The next minute may have begun meanwhile.
    ensure!(found.len() <= 2, "{found:?}");
    ensure!(
        found[0].request.actor.as_deref() == Some(scene.bus.user()),
        "{:?}",
        found[0]
    );
    let row = scene.ended(found[0].id).await?;
    ensure!(row.state == Successful, "{row:?}");
    first.stop().await?;
    second.stop().await
}
