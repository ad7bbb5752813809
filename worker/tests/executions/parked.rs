//! Elements that are not possible now wait without a place and without a lease, and hold their canary.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::ElementState;
use lockstep_protocol::ExecutionState::{Aborted, PartialFailed, Successful};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionPauseRequested, ExecutionResumeRequested, RunLimits,
};
use lockstep_store::{CapScope, ElementRow};
use lockstep_testbed::wait;
use uuid::Uuid;

use crate::provider::Act;
use crate::scene::{PATIENCE, Scene, on_both, some, unlimited};
use crate::store::Ground;

on_both! {
    a_parked_element_frees_its_place_and_its_device_and_runs_later,
    a_parked_element_whose_time_is_over_is_skipped,
    an_element_that_is_parked_again_and_again_expires_when_it_would_have_at_first,
    a_parked_canary_holds_all_others,
    a_parked_element_is_cancelled_and_stays_while_its_execution_is_paused,
}

const LONG: Duration = Duration::from_mins(10);

async fn parked(scene: &Scene, id: Uuid, name: &str) -> Result<ElementRow> {
    let row = wait::until("a parked element", PATIENCE, async || {
        match scene.elements(id).await {
            Ok(elements) if elements[name].parked.is_some() => Ok(elements[name].clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok(row)
}

async fn a_parked_element_frees_its_place_and_its_device_and_runs_later(ground: Ground) -> Result<()> {
    let mut scene = Scene::new(ground, 2).await?;
    scene.options.caps.overall = some(1);
    scene.script.set("sw0", Act::Park(Duration::from_secs(2), LONG));
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0, 1], unlimited()).await?;
    let element = parked(&scene, id, "sw0").await?;
    ensure!(element.waits_for == Some(CapScope::Parked) && element.attempts == 1);
    ensure!(element.state == ElementState::Pending && element.ended_at.is_none());
    ensure!(element.reason.as_deref() == Some("frozen"), "{element:?}");
    ensure!(element.message.as_deref() == Some("a freeze window is open"));
    // The place and the device are free.
    scene.script.set("sw0", Act::Now);
    let other = scene.run("once", &[0], unlimited()).await?;
    let other = scene.ended(other).await?;
    ensure!(other.state == Successful, "{other:?}");
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 2, "{row:?}");
    let element = &scene.elements(id).await?["sw0"];
    ensure!(element.attempts == 2 && element.parked.is_none() && element.reason.is_none());
    worker.stop().await
}

async fn a_parked_element_whose_time_is_over_is_skipped(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 2).await?;
    scene
        .script
        .set("sw0", Act::Park(LONG, Duration::from_millis(300)));
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("once", &[0, 1], unlimited()).await?;
    let row = scene.ended(id).await?;
    ensure!(
        row.state == Successful && row.counts.skipped == 1 && row.parked == 0,
        "{row:?}"
    );
    let element = &scene.elements(id).await?["sw0"];
    ensure!(element.state == ElementState::Filtered && element.reason.as_deref() == Some("frozen"));
    let message = element.message.as_deref().unwrap_or_default();
    ensure!(
        message.ends_with("its time was over: a freeze window is open"),
        "{message}"
    );
    worker.stop().await
}

async fn an_element_that_is_parked_again_and_again_expires_when_it_would_have_at_first(
    ground: Ground,
) -> Result<()> {
    let scene = Scene::new(ground, 1).await?;
    let (resume, expire) = (Duration::from_millis(500), Duration::from_secs(6));
    scene.script.set("sw0", Act::Park(resume, expire));
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0], unlimited()).await?;
    let first = parked(&scene, id, "sw0").await?;
    let row = scene.ended(id).await?;
    ensure!(row.counts.skipped == 1 && row.parked == 0, "{row:?}");
    let element = &scene.elements(id).await?["sw0"];
    ensure!(
        element.state == ElementState::Filtered && element.attempts > 1,
        "{element:?}"
    );
    let first = first.parked.context("the first time")?;
    ensure!(element.ended_at >= Some(first.expires_at), "{element:?}");
    worker.stop().await
}

async fn a_parked_canary_holds_all_others(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 4).await?;
    scene.script.set("sw0", Act::Park(Duration::from_secs(1), LONG));
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let limits = RunLimits {
        canary: some(2),
        ..unlimited()
    };
    let id = scene.run("repeatable", &[0, 1, 2, 3], limits).await?;
    parked(&scene, id, "sw0").await?;
    wait::until("the other one of the canary", PATIENCE, async || {
        let row = scene.execution(id).await.map_err(|error| error.to_string())?;
        if row.counts.done == 1 {
            Ok(())
        } else {
            Err(format!("{row:?}"))
        }
    })
    .await?;
    let row = scene.execution(id).await?;
    ensure!(row.in_canary && row.parked == 1, "{row:?}");
    ensure!(scene.script.begun_in_all() == 2, "the canary and nothing else");
    scene.script.set("sw0", Act::Fail);
    let row = scene.ended(id).await?;
    ensure!(row.state == PartialFailed && row.counts.skipped == 2, "{row:?}");
    ensure!(
        scene.script.begun_in_all() == 3,
        "it ran again, and the others never"
    );
    worker.stop().await
}

async fn a_parked_element_is_cancelled_and_stays_while_its_execution_is_paused(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 2).await?;
    scene
        .script
        .set("sw0", Act::Park(Duration::from_millis(500), LONG));
    let worker = scene.worker()?;
    scene.save_tasks().await?;
    let id = scene.run("repeatable", &[0], unlimited()).await?;
    parked(&scene, id, "sw0").await?;
    scene.ask(ExecutionPauseRequested { execution: id }).await?;
    scene.script.set("sw0", Act::Park(LONG, LONG));
    let begun = scene.script.begun_in_all();
    // Elements that come later are skipped and resumed by the same task, so it has looked after the time of this one.
    scene
        .script
        .set("sw1", Act::Park(Duration::from_millis(600), LONG));
    let other = scene.run("repeatable", &[1], unlimited()).await?;
    parked(&scene, other, "sw1").await?;
    scene.script.set("sw1", Act::Now);
    scene.ended(other).await?;
    let element = parked(&scene, id, "sw0").await?;
    ensure!(element.attempts == 1, "{element:?} {begun}");
    scene.ask(ExecutionResumeRequested { execution: id }).await?;
    wait::until("the second attempt", PATIENCE, async || {
        let elements = scene.elements(id).await.map_err(|error| error.to_string())?;
        let element = &elements["sw0"];
        if element.attempts == 2 && element.parked.is_some() {
            Ok(())
        } else {
            Err(format!("{element:?}"))
        }
    })
    .await?;
    scene.ask(ExecutionCancelRequested { execution: id }).await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Aborted && row.parked == 0, "{row:?}");
    let element = &scene.elements(id).await?["sw0"];
    ensure!(element.reason.as_deref() == Some("cancelled") && element.parked.is_none());
    worker.stop().await
}
