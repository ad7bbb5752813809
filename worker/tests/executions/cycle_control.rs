//! Executions with stages that are cancelled, paused, or limited by a canary, and a controller that takes longer than everything else.

use anyhow::{Result, ensure};
use lockstep_execution::CycleStep;
use lockstep_protocol::ExecutionState::{Aborted, Failed, PartialFailed, Successful};
use lockstep_protocol::commands::{
    ExecuteOn, ExecutionCancelRequested, ExecutionPauseRequested, ExecutionResumeRequested, RunLimits,
};
use lockstep_protocol::{ElementState, Stage};
use lockstep_store::CapScope;
use lockstep_testbed::wait;
use serde_json::json;
use uuid::Uuid;

use crate::cycle_provider::StepAct;
use crate::fleet::site;
use crate::scene::{PATIENCE, Scene, naming, on_both, some, task, unlimited};
use crate::store::Ground;

on_both! {
    the_next_stage_waits_for_the_slowest_controller,
    cancelled_between_stages_nothing_more_begins,
    paused_between_stages_nothing_begins_until_it_is_resumed,
    a_canary_is_about_the_devices_and_not_about_their_groups,
    a_controller_is_leased_with_its_devices,
}

/// An execution of all steps in which the controller is the last one of the devices.
async fn at_the_controller(scene: &Scene, act: StepAct) -> Result<Uuid> {
    scene
        .save(task("all", "cycle", json!({"run_on": "GLOBAL"})))
        .await?;
    scene.cycle.set(CycleStep::RunOnNornirDevice, "wlc", act);
    let id = scene
        .run_on("all", ExecuteOn::Global, Vec::new(), unlimited())
        .await?;
    scene.cycle.begun(CycleStep::RunOnNornirDevice, "wlc").await?;
    scene.ended_of_stage(id, Stage::Devices, 2).await?;
    Ok(id)
}

fn begun_after_devices(scene: &Scene) -> usize {
    let ran = scene.cycle.ran();
    ran.iter().filter(|ran| ran.step.stage() > Stage::Devices).count()
}

async fn the_next_stage_waits_for_the_slowest_controller(ground: Ground) -> Result<()> {
    let mut scene = Scene::with(ground, site()).await?;
    scene.options.lease_time = std::time::Duration::from_millis(600);
    let (first, second) = (scene.worker()?, scene.worker()?);
    let id = at_the_controller(&scene, StepAct::Gate).await?;
    let began = tokio::time::Instant::now();
    // Longer than its leases last without a renewal.
    wait::until("some lease times", PATIENCE, async || {
        (began.elapsed() > scene.options.lease_time * 4)
            .then_some(())
            .ok_or("they pass")
    })
    .await?;
    ensure!(begun_after_devices(&scene) == 0);
    scene.cycle.open_gate();
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 6, "{row:?}");
    ensure!(scene.cycle.repeated().is_empty(), "{:?}", scene.cycle.repeated());
    let elements = scene.elements(id).await?;
    ensure!(elements["wlc"].attempts == 1, "{elements:?}");
    first.stop().await?;
    second.stop().await
}

async fn cancelled_between_stages_nothing_more_begins(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    let id = at_the_controller(&scene, StepAct::Wait).await?;
    scene.ask(ExecutionCancelRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted, "{row:?}");
    ensure!(begun_after_devices(&scene) == 0);
    let elements = scene.elements(id).await?;
    for name in ["fleet", "one", "two"] {
        ensure!(
            elements[name].state == ElementState::Aborted
                && elements[name].reason.as_deref() == Some("cancelled"),
            "{:?}",
            elements[name]
        );
    }
    let controller = &elements["wlc"];
    ensure!(
        controller.reason.as_deref() == Some("cancelled"),
        "{controller:?}"
    );
    // Its devices were done before.
    ensure!(controller.state == ElementState::PartialFailed, "{controller:?}");
    ensure!(elements["sw0"].state == ElementState::Successful, "{elements:?}");
    worker.stop().await
}

async fn paused_between_stages_nothing_begins_until_it_is_resumed(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    let id = at_the_controller(&scene, StepAct::Gate).await?;
    scene.ask(ExecutionPauseRequested { execution: id }).await?;
    scene.cycle.open_gate();
    // The next stage begins, and its elements wait.
    scene.ended_of_stage(id, Stage::RunGroups, 0).await?;
    let elements = scene.elements(id).await?;
    let number = scene.execution(id).await?.number;
    for name in ["one", "two"] {
        ensure!(
            elements[name].waits_for == Some(CapScope::Execution(number)),
            "{:?}",
            elements[name]
        );
    }
    ensure!(begun_after_devices(&scene) == 0);
    scene.ask(ExecutionResumeRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 6, "{row:?}");
    worker.stop().await
}

async fn a_canary_is_about_the_devices_and_not_about_their_groups(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene
        .save(task("groups", "cycle", json!({"steps": [2, 10, 13]})))
        .await?;
    let limits = RunLimits {
        canary: some(1),
        ..unlimited()
    };
    scene.cycle.set(CycleStep::RunOnDevice, "sw0", StepAct::Fail);
    let id = scene
        .run_on("groups", ExecuteOn::Device, Vec::new(), limits)
        .await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Failed && (row.counts.failed, row.counts.skipped) == (1, 4),
        "{row:?}"
    );
    ensure!(scene.cycle.entities(CycleStep::PreRunOnDeviceGroup).len() == 2);
    ensure!(scene.cycle.entities(CycleStep::RunOnDevice) == ["sw0"]);
    ensure!(scene.cycle.entities(CycleStep::RunOnDeviceGroup).is_empty());
    scene.cycle.clear();
    // A group that fails is no device of the canary.
    scene
        .cycle
        .set(CycleStep::PreRunOnDeviceGroup, "one", StepAct::Fail);
    let id = scene
        .run_on("groups", ExecuteOn::Device, Vec::new(), limits)
        .await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == PartialFailed && (row.counts.done, row.counts.failed) == (4, 1),
        "{row:?}"
    );
    worker.stop().await
}

async fn a_controller_is_leased_with_its_devices(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    let id = at_the_controller(&scene, StepAct::Gate).await?;
    scene
        .save(task("device", "cycle", json!({"steps": [10], "tag": "device"})))
        .await?;
    let request = lockstep_protocol::commands::TaskRequested {
        execute_on_names: vec!["ap1".to_owned(), "sw0".to_owned()],
        ..naming("device", ExecuteOn::Device)
    };
    let other = scene.accepted(request).await?;
    wait::until("that it waits for the controller", PATIENCE, async || {
        let elements = scene.elements(other).await.map_err(|error| error.to_string())?;
        let waits = matches!(elements["wlc"].waits_for, Some(CapScope::Device(_)));
        let is_done = elements["sw0"].state == ElementState::Successful;
        if waits && is_done {
            Ok(())
        } else {
            Err(format!("{elements:?}"))
        }
    })
    .await?;
    scene.cycle.open_gate();
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    let row = scene.ended(other).await?;
    ensure!(row.state == Successful && row.counts.done == 2, "{row:?}");
    let ran = scene.cycle.ran();
    let on_device = ran
        .iter()
        .filter(|ran| ran.tag == "device")
        .map(|ran| ran.entity.as_str());
    let mut on_device: Vec<&str> = on_device.collect();
    on_device.sort_unstable();
    ensure!(on_device == ["ap1", "sw0"], "{on_device:?}");
    first.stop().await?;
    second.stop().await
}
