//! Devices restart, and answers are lost, around the commit of a push.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::SyncRequested;
use lockstep_simulators::fleet::{Fault, Injection, When};
use lockstep_testbed::wait;
use rustix::process::Signal;
use serde_json::json;

use super::site::{CONFIRM, SAVE, Site};
use crate::system::{Ground, PATIENCE, Scene};

/// Pushes to a device with this fault. Returns how the element ended, and the site.
async fn pushed_with(fault: Injection) -> Result<(Site, String, Option<String>)> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let worker = site.worker()?;
    site.fleet.inject(0, fault.times(1));
    site.push().await?;
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    site.check_devices(10).await?;
    worker.stop().await?;
    let element = oracle.elements().await?.remove(0);
    Ok((site, element.outcome, element.reason))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_restarts_instead_of_confirming_is_pushed_by_the_next_sync() -> Result<()> {
    let (site, outcome, reason) = pushed_with(Injection::before(CONFIRM, Fault::Restarts)).await?;
    ensure!(
        outcome == "failed" && reason.as_deref() == Some("rolled-back"),
        "{reason:?}"
    );
    ensure!(!site.is_synchronized(0).await?);
    let worker = site.worker()?;
    site.push().await?;
    site.oracle().await?.all_ended(2).await?;
    site.check(10).await?;
    ensure!(site.is_synchronized(0).await? && site.runs(0, 10));
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_whose_answer_is_lost_counts_as_what_the_device_shows() -> Result<()> {
    let (site, outcome, _) = pushed_with(Injection::after(SAVE, Fault::Lost)).await?;
    ensure!(outcome == "done" && site.is_synchronized(0).await?);
    let totals = site.fleet.totals(0);
    ensure!(
        (totals.commits, totals.confirms, totals.rollbacks) == (1, 1, 0),
        "{totals:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmation_that_does_not_arrive_is_sent_again() -> Result<()> {
    let (site, outcome, _) = pushed_with(Injection::before(CONFIRM, Fault::Lost)).await?;
    ensure!(outcome == "done" && site.is_synchronized(0).await?);
    let totals = site.fleet.totals(0);
    ensure!(
        (totals.commits, totals.confirms, totals.rollbacks) == (1, 1, 0),
        "{totals:?}"
    );
    Ok(())
}

/// The timer is over while nobody looks at the device.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_confirmed_in_time_is_rolled_back_and_not_flagged() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let worker = site.worker()?;
    let hold = site.fleet.hold(0, CONFIRM, When::Before);
    site.push().await?;
    hold.arrived(1).await;
    site.fleet.advance(Duration::from_mins(2));
    drop(hold);
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    site.check(10).await?;
    let elements = oracle.elements().await?;
    ensure!(
        elements[0].reason.as_deref() == Some("rolled-back"),
        "{elements:?}"
    );
    ensure!(!site.is_synchronized(0).await? && site.fleet.totals(0).confirms == 0);
    worker.stop().await
}

/// One process with everything in it is killed before the confirmation, and starts again.
#[tokio::test(flavor = "multi_thread")]
async fn an_embedded_process_that_is_killed_before_the_confirmation_pushes_after_its_restart() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let request = json!({"targets": "all", "dry_run": false});
    site.publish(serde_json::from_value::<SyncRequested>(request)?)
        .await?;
    let hold = site.fleet.hold(0, CONFIRM, When::Before);
    let mut process = site.worker()?;
    hold.arrived(1).await;
    process.signal(Signal::KILL)?;
    process.ended().await?;
    drop(hold);
    ensure!(!site.is_synchronized(0).await?);
    let process = site.worker()?;
    wait::until("the device to be synchronized", PATIENCE, async || {
        site.is_synchronized(0).await.unwrap_or(false)
    })
    .await?;
    process.stop().await?;
    site.check_devices(10).await?;
    ensure!(site.fleet.totals(0).confirms == 1);
    Ok(())
}
