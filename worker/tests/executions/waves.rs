//! Waves are counted over all workers: each begins when all elements of the one before ended.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::ExecutionState::Successful;
use lockstep_protocol::commands::RunLimits;

use crate::provider::Act;
use crate::scene::{Scene, on_both, some, unlimited};
use crate::store::Ground;

on_both! {
    two_workers_begin_a_wave_when_the_one_before_it_ended,
}

async fn two_workers_begin_a_wave_when_the_one_before_it_ended(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground, 11).await?;
    for number in 0..11 {
        // Those that end later hold the next wave.
        let time = Duration::from_millis(5 + 30 * (number % 3));
        scene.script.set(&format!("sw{number}"), Act::Done(time));
    }
    let (first, second) = (scene.worker()?, scene.worker()?);
    scene.save_tasks().await?;
    let limits = RunLimits {
        canary: some(2),
        wave: some(4),
        ..unlimited()
    };
    let id = scene
        .run("repeatable", &(0..11).collect::<Vec<_>>(), limits)
        .await?;
    let row = scene.ended(id).await?;
    ensure!(row.state == Successful && row.counts.done == 11, "{row:?}");
    ensure!(scene.script.most() <= 4, "{} at once", scene.script.most());
    let mut elements: Vec<_> = scene.elements(id).await?.into_values().collect();
    elements.sort_by_key(|element| element.started_at);
    let mut rest = &elements[..];
    let mut before_ended = None;
    for size in [2, 4, 4, 1] {
        let (wave, others) = rest.split_at(size);
        rest = others;
        let began = wave.iter().filter_map(|element| element.started_at).min();
        ensure!(
            before_ended <= began,
            "a wave of {size} began before {before_ended:?}"
        );
        before_ended = wave.iter().filter_map(|element| element.ended_at).max();
    }
    first.stop().await?;
    second.stop().await
}
