//! A worker is killed while it synchronizes a device, and another one takes over.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_simulators::fleet::When;

use super::site::{COMMIT, CONFIRM, SAVE, Site};
use crate::system::{Ground, Scene};

/// Kills the worker at this command of its push. Returns how often the device committed, confirmed and rolled back.
async fn killed_at(command: &str, when: When) -> Result<(usize, usize, usize)> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let workers = site.two_workers().await?;
    let hold = site.fleet.hold(0, command, when);
    site.push().await?;
    hold.arrived(1).await;
    let left = site.kill_who_runs(workers).await?;
    drop(hold);
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    let executions = site.check(10).await?;
    ensure!(executions[0].state == "SUCCESSFUL", "{executions:?}");
    let elements = oracle.elements().await?;
    ensure!(elements[0].attempts == 2, "{elements:?}");
    ensure!(site.is_synchronized(0).await? && site.runs(0, 10));
    let flagged = "SELECT count(*) FROM cause WHERE cause IN ('confighash', 'commit_confirm_failed')";
    ensure!(oracle.count(flagged).await? == 0, "a false drift");
    let intents = "SELECT count(*) FROM sync_intent";
    ensure!(oracle.count(intents).await? == 0, "an intent is left");
    let totals = site.fleet.totals(0);
    left.stop().await?;
    Ok((totals.commits, totals.confirms, totals.rollbacks))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_before_the_commit_leaves_a_session_that_the_next_one_aborts() -> Result<()> {
    let (commits, confirms, rollbacks) = killed_at(COMMIT, When::Before).await?;
    // Whether the device still commits what it was sent is up to the device.
    ensure!(commits <= 2 && confirms == 1 && rollbacks == commits - 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_before_the_confirmation_leaves_a_commit_that_the_next_one_rolls_back()
-> Result<()> {
    ensure!(killed_at(CONFIRM, When::Before).await?.1 == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_before_it_hears_of_its_commit_leaves_nothing_behind() -> Result<()> {
    ensure!(killed_at(COMMIT, When::After).await? == (2, 1, 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_worker_confirmed_is_adopted_and_not_pushed_again() -> Result<()> {
    ensure!(killed_at(SAVE, When::After).await? == (1, 1, 0));
    Ok(())
}
