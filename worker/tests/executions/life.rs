//! The life of executions without faults of workers.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::ExecutionState::{Aborted, Failed, PartialFailed, Successful};
use lockstep_protocol::commands::{ExecutionCancelRequested, RunLimits};
use lockstep_protocol::{ElementState, EntityType, WorkResult};
use lockstep_store::{DeviceQuery, SyncState};

use crate::provider::Act;
use crate::scene::{Scene, on_both, some, unlimited};
use crate::store::Ground;

on_both! {
    every_element_ends_in_what_its_provider_did,
    an_execution_without_elements_says_so,
    a_canary_that_fails_stops_the_rest,
    a_canary_that_passes_lets_the_rest_begin,
    failed_runs_and_facts_change_no_flag,
    a_cancelled_run_changes_no_flag,
}

async fn every_element_ends_in_what_its_provider_did(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 20).await?;
    scene.options.element_timeout = Duration::from_millis(500);
    let acts = [Act::Fail, Act::Panic, Act::Hang, Act::Wait, Act::Flood];
    for (number, act) in acts.into_iter().enumerate() {
        scene.script.set(&format!("sw{number}"), act);
    }
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let id = scene
        .run("repeatable", &(0..20).collect::<Vec<_>>(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed, "{row:?}");
    ensure!((row.counts.done, row.counts.failed) == (15, 5), "{row:?}");
    let elements = scene.elements(id).await?;
    let reasons = ["refused", "crashed", "timed-out", "timed-out", "too-large"];
    for (number, reason) in reasons.into_iter().enumerate() {
        let element = &elements[&format!("sw{number}")];
        ensure!(element.reason.as_deref() == Some(reason), "{element:?}");
        ensure!(
            element.state == ElementState::Failed && element.attempts == 1,
            "{element:?}"
        );
    }
    let done = &elements["sw7"];
    ensure!(done.message.as_deref() == Some("as the test says"), "{done:?}");
    let detail = scene.store.executions.element(done.number).await?;
    ensure!(detail.is_some_and(|detail| detail.data["count"] == 1));
    let facts = scene
        .store
        .cycle
        .facts(EntityType::Device, done.entity, None, 10)
        .await?;
    ensure!(facts.len() == 1 && facts[0].key == "seen", "{facts:?}");
    first.stop().await?;
    second.stop().await
}

async fn an_execution_without_elements_says_so(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 0).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    // The provider says that it runs on all, and there are none.
    let id = scene.run("repeatable", &[], unlimited()).await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Aborted && row.reason.as_deref() == Some("no element was selected"),
        "{row:?}"
    );
    let unknown = scene.request("unknown", &[], unlimited()).await?;
    let answer = scene.ask(unknown).await?;
    ensure!(
        matches!(&answer, WorkResult::MessageRejected(rejected) if rejected.code.as_str() == "unknown-task"),
        "{answer:?}"
    );
    worker.stop().await
}

async fn a_canary_that_fails_stops_the_rest(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 10).await?;
    scene.script.set("sw0", Act::Fail);
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        canary: some(2),
        ..unlimited()
    };
    let id = scene
        .run("repeatable", &(0..10).collect::<Vec<_>>(), limits)
        .await?;
    let row = scene.ended(id).await?;
    // The other element of the canary is done, unless it had not begun when the first one failed.
    let done = row.counts.done;
    ensure!(
        done <= 1 && (row.counts.failed, row.counts.skipped) == (1, 9 - done),
        "{row:?}"
    );
    let state = if done == 1 { PartialFailed } else { Failed };
    ensure!(row.state == state && row.reason.is_some(), "{row:?}");
    ensure!(scene.script.begun_in_all() as u64 == done + 1);
    worker.stop().await
}

async fn a_canary_that_passes_lets_the_rest_begin(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 30).await?;
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        canary: some(3),
        at_once: some(4),
        ..unlimited()
    };
    let id = scene
        .run("repeatable", &(0..30).collect::<Vec<_>>(), limits)
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 30, "{row:?}");
    ensure!(scene.script.most() <= 4, "{}", scene.script.most());
    worker.stop().await
}

/// The flag of each device, and how many causes it has had.
async fn flags(scene: &Scene) -> Result<Vec<SyncState>> {
    let all = DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    };
    let devices = scene.store.fleet.devices(&all).await?;
    ensure!(!devices.is_empty(), "the fleet has devices");
    Ok(devices.into_iter().map(|device| device.sync).collect())
}

async fn failed_runs_and_facts_change_no_flag(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 6).await?;
    scene.options.element_timeout = Duration::from_millis(500);
    let before = flags(&scene).await?;
    ensure!(before.len() == 6, "{before:?}");
    for (number, act) in [Act::Fail, Act::Panic, Act::Hang].into_iter().enumerate() {
        scene.script.set(&format!("sw{number}"), act);
    }
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene
        .run("repeatable", &(0..6).collect::<Vec<_>>(), unlimited())
        .await?;
    let row = scene.ended(id).await?;
    ensure!((row.counts.done, row.counts.failed) == (3, 3), "{row:?}");
    // Those that are done have facts.
    ensure!(flags(&scene).await? == before);
    worker.stop().await
}

async fn a_cancelled_run_changes_no_flag(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 3).await?;
    let before = flags(&scene).await?;
    for number in 0..3 {
        scene.script.set(&format!("sw{number}"), Act::Hang);
    }
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0, 1, 2], unlimited()).await?;
    scene.running(3).await?;
    scene.ask(ExecutionCancelRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted, "{row:?}");
    ensure!(flags(&scene).await? == before);
    worker.stop().await
}
