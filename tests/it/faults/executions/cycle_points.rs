//! A worker is killed in every stage of a task with pre- and post-tasks: when it has begun the first element of the stage, when the last
//! one ran and its end is not committed, and when the next stage is committed and nothing is published of it. Each worker is the only one
//! while it lives, and only one element runs at once, so where each of them dies is exact.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::cycle_site::{COMMANDS, CycleSite, STAGES};
use crate::system::{Ground, Position, Scene};

const DEVICES: u32 = 6;
/// How many elements run in each stage: the first device ends in the first one.
const RUNS: [i64; 5] = [6, 5, 5, 2, 1];

/// The time passes at which others take over what a killed worker left.
const LATER: &str = "
    UPDATE follow_up SET due_at = clock_timestamp();
    UPDATE element SET due_at = clock_timestamp() WHERE due_at IS NOT NULL;
    UPDATE element SET until = clock_timestamp() WHERE state = 'RUNNING';
    UPDATE lease SET until = clock_timestamp();";

/// Runs a worker that is killed at this point, and returns where the execution is then.
async fn killed(site: &CycleSite, execution: i64, point: &str) -> Result<Position> {
    let installation = &site.installation;
    let mut worker = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", point)])?;
    let status = worker.ended().await?;
    ensure!(status.signal() == Some(9), "{point}: {status}: {}", worker.log()?);
    let client = installation.scene.servers()?.schema.connect().await?;
    client.batch_execute(LATER).await?;
    site.log.position(execution).await
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_are_killed_in_every_stage_and_all_joins_are_exact() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = CycleSite::new(scene, DEVICES, Duration::ZERO, 1).await?;
    let accepting = site.installation.accepting()?;
    let execution = site.run().await?.number;
    accepting.stop().await?;
    for (stage, runs) in (0..STAGES).zip(RUNS) {
        let begun = killed(&site, execution, "after-claim:1:kill").await?;
        let expected = Position {
            stage,
            ended: 0,
            running: 1,
        };
        ensure!(begun == expected, "after the first claim: {begun:?}");
        let ran = killed(&site, execution, &format!("element-ran:{runs}:kill")).await?;
        let expected = Position {
            ended: runs - 1,
            ..expected
        };
        ensure!(ran == expected, "after the last element ran: {ran:?}");
        let finished = killed(&site, execution, "after-finish:1:kill").await?;
        let expected = Position {
            stage: (stage + 1).min(STAGES - 1),
            ended: if stage + 1 < STAGES { 0 } else { runs },
            running: 0,
        };
        ensure!(finished == expected, "after the last end: {finished:?}");
    }
    let left = site.installation.worker()?;
    let oracle = site.installation.oracle().await?;
    oracle.all_ended(1).await?;
    site.check(1).await?;

    // Two workers of each stage left an element that was running.
    let attempts = oracle.count("SELECT sum(attempts)::bigint FROM element").await?;
    let runs = RUNS.iter().sum::<i64>() + 2 * i64::from(STAGES);
    ensure!(
        i64::try_from(attempts)? == runs,
        "{attempts} attempts, not {runs}"
    );
    // In the first two stages the last device was asked twice: the end of the first answer was not committed.
    let requests = site.installation.fleet.requests();
    let asked = (RUNS[0] - 1) + RUNS[1] + i64::from(COMMANDS + 1);
    ensure!(
        i64::try_from(requests)? == asked,
        "{requests} requests, not {asked}"
    );
    left.stop().await
}
