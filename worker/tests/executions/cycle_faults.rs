//! Workers are killed in every stage, messages between stages are lost and come twice.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, ConsumeOptions};
use lockstep_execution::CycleStep;
use lockstep_protocol::ExecutionState::{Failed, PartialFailed, Successful};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::internal::ElementQueued;
use lockstep_protocol::topology::{Destination, Lane, Queue};
use lockstep_protocol::{ElementState, Envelope, Level, Source, Stage};
use lockstep_testbed::wait;
use serde_json::json;

use crate::cycle_provider::StepAct;
use crate::fleet::site;
use crate::scene::{PATIENCE, Scene, now, on_both, outgoing, task, unlimited};
use crate::store::Ground;

on_both! {
    a_worker_killed_in_any_stage_is_replaced_and_joins_are_exact,
    steps_that_may_not_be_repeated_go_on_from_the_journal,
    a_stage_that_may_not_be_repeated_is_interrupted,
    a_worker_that_stops_hands_over_a_unit_in_the_middle,
    messages_of_every_stage_twice_run_each_step_once,
    messages_of_stages_that_are_lost_are_published_again,
}

async fn a_worker_killed_in_any_stage_is_replaced_and_joins_are_exact(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let steps = json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
    let arguments = json!({"steps": steps, "run_on": "GLOBAL", "items": ["x", "y"]});
    for (step, entity) in [
        (CycleStep::PreRunGlobal, "fleet"),
        (CycleStep::RunOnItem, "y"),
        (CycleStep::PreRunOnDeviceGroup, "two"),
        (CycleStep::RunOnInterface, "sw0 e1"),
        (CycleStep::RunOnDeviceGroup, "one"),
        (CycleStep::RunGlobal, "fleet"),
    ] {
        let before = scene.cycle.ran().len();
        let first = scene.worker()?;
        scene.save(task("all", "cycle", arguments.clone())).await?;
        scene.cycle.set(step, entity, StepAct::Hang);
        let id = scene
            .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
            .await?;
        wait::until("the step that hangs", PATIENCE, async || {
            let ran = &scene.cycle.ran()[before..];
            let hangs = ran.iter().any(|ran| ran.step == step && ran.entity == entity);
            if hangs { Ok(()) } else { Err(ran.len()) }
        })
        .await?;
        first.kill();
        scene.cycle.clear();
        let second = scene.worker()?;
        let row = scene.ended(id).await?;
        ensure!(row.state == Successful, "{step:?}: {row:?}");
        ensure!(
            (row.counts.elements, row.counts.done) == (8, 8),
            "{step:?}: {row:?}"
        );
        let ran = &scene.cycle.ran()[before..];
        ensure!(ran.is_sorted_by_key(|ran| ran.step.stage()), "{step:?}: {ran:#?}");
        // Each step ended at least once on each of its entities, and in the end once more where the worker was killed.
        for level in [Level::Item, Level::Group, Level::Interface, Level::Device] {
            let results = scene.results_at(id, 0, level).await?;
            ensure!(
                results
                    .values()
                    .all(|result| result.state == ElementState::Successful),
                "{step:?}: {results:?}"
            );
        }
        second.stop().await?;
    }
    Ok(())
}

async fn steps_that_may_not_be_repeated_go_on_from_the_journal(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let first = scene.worker()?;
    scene
        .save(task("once", "cycle-once", json!({"steps": [5, 6, 9, 10, 13]})))
        .await?;
    scene
        .cycle
        .set(CycleStep::RunOnInterface, "sw0 e1", StepAct::Hang);
    let id = scene
        .run_on("once", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    scene.cycle.begun(CycleStep::RunOnInterface, "sw0 e1").await?;
    // No step of the others is open.
    scene.ended_of_stage(id, Stage::Devices, 2).await?;
    first.kill();
    scene.cycle.clear();
    let second = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed, "{row:?}");
    ensure!(scene.cycle.repeated().is_empty(), "{:?}", scene.cycle.repeated());
    let results = scene.results_at(id, 0, Level::Interface).await?;
    let interrupted: Vec<&str> = results
        .iter()
        .filter(|(_, result)| result.reason.as_deref() == Some("interrupted"))
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(interrupted == ["sw0 e1"], "{results:?}");
    let done = results
        .values()
        .filter(|result| result.state == ElementState::Successful);
    ensure!(done.count() == 5, "{results:?}");
    // A failed interface does not stop its device.
    let mut devices = scene.cycle.entities(CycleStep::RunOnDevice);
    devices.sort();
    ensure!(devices == ["ap0", "ap1", "sw0", "sw1", "wlc"], "{devices:?}");
    let element = &scene.elements(id).await?["sw0"];
    ensure!(
        element.state == ElementState::PartialFailed && element.attempts == 2,
        "{element:?}"
    );
    second.stop().await
}

async fn a_stage_that_may_not_be_repeated_is_interrupted(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let first = scene.worker()?;
    scene
        .save(task("once", "cycle-once", json!({"steps": [1, 10]})))
        .await?;
    scene.cycle.set(CycleStep::PreRunGlobal, "fleet", StepAct::Hang);
    let id = scene
        .run_on("once", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    scene.cycle.begun(CycleStep::PreRunGlobal, "fleet").await?;
    first.kill();
    scene.cycle.clear();
    let second = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Failed && (row.counts.failed, row.counts.skipped) == (1, 3),
        "{row:?}"
    );
    let fleet = &scene.elements(id).await?["fleet"];
    ensure!(fleet.reason.as_deref() == Some("interrupted"), "{fleet:?}");
    ensure!(scene.cycle.ran().len() == 1, "nothing runs below it");
    second.stop().await
}

async fn a_worker_that_stops_hands_over_a_unit_in_the_middle(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let first = scene.worker()?;
    scene
        .save(task("once", "cycle-once", json!({"steps": [9, 10]})))
        .await?;
    scene
        .cycle
        .set(CycleStep::RunOnInterface, "sw1 e1", StepAct::Wait);
    let id = scene
        .run_on("once", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    scene.cycle.begun(CycleStep::RunOnInterface, "sw1 e1").await?;
    first.stop().await?;
    scene.cycle.clear();
    let second = scene.worker()?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.failed == 1, "{row:?}");
    ensure!(scene.cycle.repeated().is_empty(), "{:?}", scene.cycle.repeated());
    ensure!(scene.cycle.entities(CycleStep::RunOnDevice).len() == 5);
    second.stop().await
}

async fn messages_of_every_stage_twice_run_each_step_once(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    let stops = [
        (CycleStep::PreRunGlobal, "fleet"),
        (CycleStep::PreRunOnDeviceGroup, "one"),
        (CycleStep::RunOnNornirDevice, "wlc"),
        (CycleStep::RunOnDeviceGroup, "two"),
    ];
    for (step, entity) in stops {
        scene.cycle.set(step, entity, StepAct::Gate);
    }
    let id = scene
        .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
        .await?;
    let elements = scene.elements(id).await?;
    let messages = || {
        let messages = elements.values().map(|element| {
            let source = Source::worker();
            let envelope = Envelope::new(
                source,
                now(),
                ElementQueued {
                    element: element.number,
                },
            );
            lockstep_bus::Outgoing {
                destination: Destination::Lane(Lane::Devices),
                ..outgoing(&envelope)
            }
        });
        messages.collect::<Vec<_>>()
    };
    for (step, entity) in stops {
        scene.cycle.begun(step, entity).await?;
        // For all elements, whatever stage they wait for.
        scene.bus.publish(messages()).await?;
        scene.bus.publish(messages()).await?;
        taken(&scene).await?;
        let ran = scene.cycle.ran();
        ensure!(ran.iter().all(|ran| ran.step.stage() <= step.stage()), "{ran:#?}");
        scene.cycle.open_gate_once();
    }
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 6, "{row:?}");
    scene.bus.publish(messages()).await?;
    taken(&scene).await?;
    ensure!(scene.cycle.repeated().is_empty(), "{:?}", scene.cycle.repeated());
    ensure!(scene.execution(id).await? == row);
    first.stop().await?;
    second.stop().await
}

/// Waits until all messages about elements are taken.
async fn taken(scene: &Scene) -> Result<()> {
    wait::until("that all messages are taken", PATIENCE, async || {
        let queues = scene.bus.queues(&[Lane::Devices.queue()]).await;
        queues.is_ok_and(|queues| queues[0].is_some_and(|queue| queue.messages == 0))
    })
    .await?;
    Ok(())
}

async fn messages_of_stages_that_are_lost_are_published_again(ground: Ground) -> Result<()> {
    let mut scene = Scene::with(ground, site()).await?;
    scene.options.overdue_after = Duration::from_millis(500);
    // It claims one of the elements that a stage queues, and publishes messages for the others.
    scene.options.places = 1;
    let first = scene.worker()?;
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    scene.cycle.set(CycleStep::PreRunGlobal, "fleet", StepAct::Gate);
    let id = scene
        .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
        .await?;
    scene.cycle.begun(CycleStep::PreRunGlobal, "fleet").await?;
    let options = ConsumeOptions {
        prefetch: 1000,
        acknowledge: Acknowledge::Each,
    };
    let mut thief = scene.bus.consume(Queue::Lane(Lane::Devices), options).await?;
    scene.cycle.open_gate();
    // A message of the stage that begins then.
    let batch = thief.take(100).await.context("the bus was closed")?;
    batch.receipt.ack().await;
    thief.close().await;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 6, "{row:?}");
    ensure!(scene.cycle.repeated().is_empty(), "{:?}", scene.cycle.repeated());
    ensure!(
        scene
            .cycle
            .ran()
            .is_sorted_by_key(|ran| -> Stage { ran.step.stage() })
    );
    first.stop().await
}
