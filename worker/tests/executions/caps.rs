//! Caps are counted where elements begin, over all workers, and a place is free when the lease of its element is over.

use std::num::NonZeroU32;
use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_execution::Caps;
use lockstep_protocol::ExecutionState::{Aborted, Successful};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionsResumeRequested, ExecutionsStopRequested,
};
use lockstep_testbed::wait;
use tokio::time::Instant;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, on_both, some, unlimited};
use crate::store::Ground;

on_both! {
    two_workers_that_start_at_once_never_exceed_a_cap,
    a_place_of_a_killed_worker_is_free_when_its_lease_is_over,
    caps_of_groups_and_providers_hold_together,
    a_device_runs_one_element_at_a_time,
}

async fn two_workers_that_start_at_once_never_exceed_a_cap(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 100).await?;
    scene.options.caps.overall = some(2);
    for number in 0..100 {
        scene
            .script
            .set(&format!("sw{number}"), Act::Done(Duration::from_millis(5)));
    }
    let first = scene.worker()?;
    scene.save_tasks().await?;
    let stopped = scene.ask(ExecutionsStopRequested { note: None }).await?;
    let id = scene
        .run("repeatable", &(0..100).collect::<Vec<_>>(), unlimited())
        .await?;
    first.stop().await?;
    // Both begin with nothing that runs.
    let (second, third) = (scene.worker()?, scene.worker()?);
    scene.ask(ExecutionsResumeRequested {}).await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Successful && row.counts.done == 100,
        "{row:?} {stopped:?}"
    );
    ensure!(scene.script.most() <= 2, "{} at once", scene.script.most());
    ensure!(scene.script.begun_in_all() == 100, "each once");
    second.stop().await?;
    third.stop().await
}

async fn a_place_of_a_killed_worker_is_free_when_its_lease_is_over(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 2).await?;
    scene.options.caps.overall = some(1);
    scene.script.set("sw0", Act::Hang);
    let first = scene.worker()?;
    scene.save_tasks().await?;
    let running = scene.run("once", &[0], unlimited()).await?;
    scene.running(1).await?;
    let waiting = scene.run("once", &[1], unlimited()).await?;
    wait::until("that it waits", PATIENCE, async || {
        let elements = scene.elements(waiting).await;
        matches!(elements, Ok(elements) if elements["sw1"].waits_for.is_some())
    })
    .await?;
    first.kill();
    let killed = Instant::now();
    let second = scene.worker()?;
    scene.ask(ExecutionCancelRequested { execution: running }).await?;
    let row = scene.ended(waiting).await?;
    ensure!(row.state == Successful, "{row:?}");
    let took = killed.elapsed();
    // The lease, and a run of the periodic task; the rest is the slowness of a busy machine.
    ensure!(
        took < scene.options.lease_time + Duration::from_secs(5),
        "{took:?}"
    );
    let row = scene.ended(running).await?;
    ensure!(row.state == Aborted && row.counts.failed == 1, "{row:?}");
    let elements = scene.elements(running).await?;
    ensure!(
        elements["sw0"].reason.as_deref() == Some("cancelled"),
        "{elements:?}"
    );
    second.stop().await
}

async fn caps_of_groups_and_providers_hold_together(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 40).await?;
    let (five, three) = (
        NonZeroU32::MIN.saturating_add(4),
        NonZeroU32::MIN.saturating_add(2),
    );
    scene.options.caps = Caps {
        overall: some(6),
        providers: [("repeatable".to_owned(), five)].into(),
        groups: [("site".to_owned(), three)].into(),
    };
    for number in 0..40 {
        scene
            .script
            .set(&format!("sw{number}"), Act::Done(Duration::from_millis(2)));
    }
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let half: Vec<usize> = (0..20).collect();
    let other: Vec<usize> = (20..40).collect();
    let one = scene.run("repeatable", &half, unlimited()).await?;
    let two = scene.run("once", &other, unlimited()).await?;
    for id in [one, two] {
        let row = scene.ended(id).await?;
        ensure!(row.state == Successful && row.counts.done == 20, "{row:?}");
    }
    ensure!(scene.script.most() <= 3, "{} at once", scene.script.most());
    first.stop().await?;
    second.stop().await
}

async fn a_device_runs_one_element_at_a_time(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 3).await?;
    for number in 0..3 {
        scene
            .script
            .set(&format!("sw{number}"), Act::Done(Duration::from_millis(30)));
    }
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(scene.run("repeatable", &[0, 1, 2], unlimited()).await?);
    }
    for id in ids {
        let row = scene.ended(id).await?;
        ensure!(row.state == Successful, "{row:?}");
        for element in scene.elements(id).await?.values() {
            ensure!(
                element.attempts == 1,
                "an attempt was spent on waiting: {element:?}"
            );
        }
    }
    ensure!(scene.script.twice().is_empty(), "{:?}", scene.script.twice());
    ensure!(scene.script.begun_in_all() == 18);
    first.stop().await?;
    second.stop().await
}
