//! Limits of syncs, counted over two workers.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_simulators::fleet::{Behaviour, When};
use serde_json::json;

use super::site::{COMMIT, Site};
use crate::system::{Ground, Scene};

const LATENCY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn no_more_devices_are_in_work_than_allowed_and_the_canary_comes_first() -> Result<()> {
    const DEVICES: usize = 12;
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 12, LATENCY).await?;
    let (first, second) = site.two_workers().await?;
    let holds: Vec<_> = (0..DEVICES)
        .map(|device| site.fleet.hold(device, COMMIT, When::Before))
        .collect();
    let limits = json!({"at_once": 3, "canary": 1, "wave": 4});
    site.sync(json!({"targets": "all", "dry_run": false, "limits": limits}))
        .await?;
    let oracle = site.oracle().await?;
    // Elements run in the order of their numbers.
    let touched = || {
        (0..DEVICES)
            .filter(|device| site.fleet.requests_to(*device) > 0)
            .count()
    };
    holds[0].arrived(1).await;
    let others = "SELECT count(*) FROM element WHERE waits_for IS NULL AND state = 'PENDING'";
    oracle.none("the others to wait for the canary", others).await?;
    ensure!(touched() == 1, "{} devices in the canary", touched());
    drop(holds);
    oracle.all_ended(1).await?;
    let executions = site.check(10).await?;
    ensure!(
        executions[0].counts.done == 12 && executions[0].state == "SUCCESSFUL",
        "{executions:?}"
    );
    let peak = site.fleet.peak_concurrency();
    ensure!(peak <= 3, "{peak} devices were in work at once");
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_template_stops_at_the_share_of_failures_and_changes_nothing() -> Result<()> {
    const DEVICES: usize = 20;
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 20, Duration::ZERO).await?;
    let (first, second) = site.two_workers().await?;
    site.write_template("hostname {{ nothing.at.all }}\n")?;
    site.refresh("templates").await?;
    let limits = json!({"at_once": 2, "max_failed_percent": 10});
    site.sync(json!({"targets": "all", "dry_run": false, "limits": limits}))
        .await?;
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    let executions = site.check(10).await?;
    // More than a tenth failed, and what ran beside it.
    let counts = executions[0].counts;
    ensure!(
        (3..=4).contains(&counts.failed) && counts.done == 0,
        "{executions:?}"
    );
    let elements = oracle.elements().await?;
    let failed = elements.iter().filter(|element| element.outcome == "failed");
    for element in failed {
        ensure!(element.reason.as_deref() == Some("render"), "{element:?}");
    }
    for device in 0..DEVICES {
        ensure!(site.fleet.totals(device).commits == 0);
    }
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn devices_that_cannot_be_reached_do_not_stop_the_others() -> Result<()> {
    const DEVICES: usize = 10;
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 10, Duration::ZERO).await?;
    let (first, second) = site.two_workers().await?;
    for device in 0..DEVICES / 2 {
        site.fleet.behave(device, Behaviour::Unreachable);
    }
    site.push().await?;
    site.oracle().await?.all_ended(1).await?;
    let executions = site.check(10).await?;
    let counts = executions[0].counts;
    ensure!((counts.done, counts.failed) == (5, 5), "{executions:?}");
    for device in 0..DEVICES {
        let reached = device >= DEVICES / 2;
        ensure!(site.is_synchronized(device).await? == reached, "device {device}");
    }
    first.stop().await?;
    second.stop().await
}
