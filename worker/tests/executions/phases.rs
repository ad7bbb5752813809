//! Pre- and post-tasks: what they keep from running, and where they run.

use anyhow::{Context, Result, ensure};
use lockstep_execution::CycleStep;
use lockstep_protocol::ExecutionState::{Failed, PartialFailed, Successful};
use lockstep_protocol::commands::{ExecuteOn, ExecutionRelaunchRequested, TaskSaveRequested};
use lockstep_protocol::{Code, ElementState, Level, WorkResult};
use serde_json::json;

use crate::cycle_provider::StepAct;
use crate::fleet::site;
use crate::scene::{Scene, naming, on_both, task, unlimited};
use crate::store::Ground;

on_both! {
    a_pre_task_that_fails_on_a_device_keeps_the_task_from_it,
    an_entity_that_failed_in_a_pre_task_is_left_alone,
    a_post_task_runs_where_the_task_was_done,
    what_failed_in_a_pre_task_is_run_again_with_it,
    a_pre_task_that_fails_on_the_fleet_stops_everything,
    a_task_that_would_run_before_itself_is_not_saved,
}

fn around(name: &str, steps: &[u8], before: &[&str], after: &[&str]) -> TaskSaveRequested {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    TaskSaveRequested {
        pre_tasks: names(before),
        post_tasks: names(after),
        ..task(name, "cycle", json!({"steps": steps, "tag": name}))
    }
}

fn entities(scene: &Scene, tag: &str, step: CycleStep) -> Vec<String> {
    let ran = scene.cycle.ran().into_iter();
    let mut found: Vec<String> = ran
        .filter(|ran| ran.tag == tag && ran.step == step)
        .map(|ran| ran.entity)
        .collect();
    found.sort();
    found
}

async fn a_pre_task_that_fails_on_a_device_keeps_the_task_from_it(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene
        .cycle
        .set(CycleStep::RunOnDevice, "check/sw0", StepAct::Fail);
    scene.save(around("check", &[10], &[], &[])).await?;
    scene.save(around("report", &[10], &[], &[])).await?;
    scene
        .save(around("main", &[6, 10, 13, 14], &["check"], &["report"]))
        .await?;
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.failed == 1, "{row:?}");
    ensure!(row.counts.done == 5, "{row:?}");
    let element = &scene.elements(id).await?["sw0"];
    ensure!(
        element.state == ElementState::PrecheckFailed && element.reason.as_deref() == Some("on-purpose"),
        "{element:?}"
    );
    let others = ["ap0", "ap1", "sw1", "wlc"];
    ensure!(entities(&scene, "check", CycleStep::RunOnDevice).len() == 5);
    for tag in ["main", "report"] {
        let ran = entities(&scene, tag, CycleStep::RunOnDevice);
        ensure!(ran == others, "{tag}: {ran:?}");
    }
    let ports = entities(&scene, "main", CycleStep::PreRunOnInterface);
    ensure!(ports.len() == 4, "{ports:?}");
    // The task as a whole comes between the others.
    let order: Vec<String> = scene.cycle.ran().into_iter().map(|ran| ran.tag).collect();
    let rank = |tag: &String| ["check", "main", "report"].iter().position(|name| name == tag);
    ensure!(order.is_sorted_by_key(rank), "{order:?}");
    first.stop().await?;
    second.stop().await
}

async fn an_entity_that_failed_in_a_pre_task_is_left_alone(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene.save(around("check", &[10], &[], &[])).await?;
    scene.save(around("main", &[10, 11], &["check"], &[])).await?;
    scene
        .cycle
        .set(CycleStep::RunOnDevice, "check/ap0", StepAct::Fail);
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.failed == 1, "{row:?}");
    let element = &scene.elements(id).await?["wlc"];
    ensure!(element.state == ElementState::PartialFailed, "{element:?}");
    let ran = entities(&scene, "main", CycleStep::RunOnDevice);
    ensure!(ran == ["ap1", "sw0", "sw1", "wlc"], "{ran:?}");
    let results = scene.results_at(id, 0, Level::Device).await?;
    ensure!(
        results["ap0"].state == ElementState::PrecheckFailed,
        "{results:?}"
    );
    let results = scene.results_at(id, 1, Level::Device).await?;
    let left = &results["ap0"];
    ensure!(
        left.state == ElementState::Filtered && left.reason.as_deref() == Some("precheck-failed"),
        "{left:?}"
    );
    worker.stop().await
}

async fn a_post_task_runs_where_the_task_was_done(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene.save(around("verify", &[10], &[], &[])).await?;
    scene.save(around("main", &[10], &[], &["verify"])).await?;
    scene.cycle.set(CycleStep::RunOnDevice, "main/sw0", StepAct::Fail);
    scene
        .cycle
        .set(CycleStep::RunOnDevice, "verify/sw1", StepAct::Fail);
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.failed == 2, "{row:?}");
    let ran = entities(&scene, "verify", CycleStep::RunOnDevice);
    ensure!(ran == ["ap0", "ap1", "sw1", "wlc"], "{ran:?}");
    let elements = scene.elements(id).await?;
    ensure!(elements["sw0"].state == ElementState::Failed, "{elements:?}");
    ensure!(
        elements["sw1"].state == ElementState::PostcheckFailed,
        "{elements:?}"
    );
    ensure!(elements["wlc"].state == ElementState::Successful, "{elements:?}");
    worker.stop().await
}

async fn what_failed_in_a_pre_task_is_run_again_with_it(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene.save(around("check", &[10], &[], &[])).await?;
    scene.save(around("main", &[10, 13], &["check"], &[])).await?;
    scene
        .cycle
        .set(CycleStep::RunOnDevice, "check/sw0", StepAct::Fail);
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    scene.ended(id).await?;
    scene.cycle.clear();
    let before = scene.cycle.ran().len();
    let request = ExecutionRelaunchRequested {
        execution: id,
        arguments: serde_json::Map::new(),
        dry_run: None,
    };
    let answer = scene.ask(request).await?;
    let WorkResult::ExecutionAccepted(accepted) = answer else {
        anyhow::bail!("{answer:?}");
    };
    let row = scene.ended(accepted.execution).await?;
    ensure!(row.state == Successful, "{row:?}");
    let again = scene.cycle.ran().split_off(before);
    let again: Vec<(&str, &str)> = again
        .iter()
        .map(|ran| (ran.tag.as_str(), ran.entity.as_str()))
        .collect();
    ensure!(
        again == [("check", "sw0"), ("main", "sw0"), ("main", "one")],
        "{again:?}"
    );
    worker.stop().await
}

async fn a_pre_task_that_fails_on_the_fleet_stops_everything(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene.save(around("check", &[10, 14], &[], &[])).await?;
    scene.save(around("main", &[10], &["check"], &[])).await?;
    scene.cycle.set(CycleStep::RunGlobal, "fleet", StepAct::Fail);
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Failed && row.counts.skipped == 3, "{row:?}");
    ensure!(entities(&scene, "main", CycleStep::RunOnDevice).is_empty());
    let elements = scene.elements(id).await?;
    ensure!(
        elements["fleet"].state == ElementState::PrecheckFailed,
        "{elements:?}"
    );
    scene.cycle.clear();
    let id = scene
        .run_on("main", ExecuteOn::Device, Vec::new(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful, "{row:?}");
    worker.stop().await
}

async fn a_task_that_would_run_before_itself_is_not_saved(ground: Ground) -> Result<()> {
    let scene = Scene::with(ground, site()).await?;
    let worker = scene.worker()?;
    scene.save(around("one", &[10], &[], &[])).await?;
    scene.save(around("two", &[10], &[], &["one"])).await?;
    for (saved, code, place) in [
        (
            around("one", &[10], &["two"], &[]),
            Code::InvalidArguments,
            "$.data.pre_tasks[0]",
        ),
        (
            around("two", &[10], &["one"], &["nobody"]),
            Code::UnknownTask,
            "$.data.post_tasks[0]",
        ),
    ] {
        let answer = scene.ask(saved).await?;
        let WorkResult::MessageRejected(rejected) = answer else {
            anyhow::bail!("{answer:?}");
        };
        ensure!(
            rejected.code == code && rejected.place.as_deref() == Some(place),
            "{rejected:?}"
        );
    }
    // A task whose pre-task was deleted later is rejected when it is to run.
    scene
        .ask(lockstep_protocol::commands::TaskDeleteRequested {
            name: "one".to_owned(),
        })
        .await?;
    let answer = scene.ask(naming("two", ExecuteOn::Device)).await?;
    ensure!(
        matches!(&answer, WorkResult::MessageRejected(rejected) if rejected.code == Code::UnknownTask),
        "{answer:?}"
    );
    let reason = match answer {
        WorkResult::MessageRejected(rejected) => Some(rejected.reason),
        _ => None,
    };
    ensure!(reason.context("a reason")?.contains("task two names one"));
    worker.stop().await
}
