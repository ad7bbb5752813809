//! Broker and database are killed and started again in the middle of a push.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_simulators::fleet::When;
use lockstep_testbed::{Broker, Database};

use super::site::{CONFIRM, Site};
use crate::system::Scene;

const DEVICES: u32 = 20;
const ALL: usize = 20;
const LATENCY: Duration = Duration::from_millis(100);

/// All are done, and a later sync has nothing to do.
async fn all_are_synchronized(site: &Site) -> Result<()> {
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    site.check_devices(10).await?;
    let executions = oracle.executions().await?;
    ensure!(executions[0].counts.skipped == 0, "{executions:?}");
    for device in 0..ALL {
        if !site.is_synchronized(device).await? {
            // It rolled back while nobody could confirm.
            site.push().await?;
            oracle.all_ended(2).await?;
            break;
        }
    }
    site.check(10).await?;
    for device in 0..ALL {
        ensure!(site.is_synchronized(device).await? && site.runs(device, 10));
        ensure!(
            site.fleet.totals(device).confirms == 1,
            "{:?}",
            site.fleet.totals(device)
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_broker_killed_in_the_middle_of_a_push() -> Result<()> {
    let mut broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    // An orderly stop writes the queues down, see `outage`.
    broker.stop().await?;
    broker.restart().await?;
    let site = Site::new(scene, DEVICES, LATENCY).await?;
    let (first, second) = site.two_workers().await?;
    site.push().await?;
    site.oracle().await?.ended_at_least(ALL / 4).await?;
    broker.kill().await?;
    broker.restart().await?;
    all_are_synchronized(&site).await?;
    first.stop().await?;
    second.stop().await
}

/// The database is away while a device waits for its confirmation.
#[tokio::test(flavor = "multi_thread")]
async fn private_database_killed_in_the_middle_of_a_push() -> Result<()> {
    let mut database = Database::start().await?;
    let scene = Scene::on(lockstep_testbed::vhost().await?, database.schema().await?).await?;
    let site = Site::new(scene, DEVICES, LATENCY).await?;
    let (first, second) = site.two_workers().await?;
    let hold = site.fleet.hold(0, CONFIRM, When::Before);
    site.push().await?;
    hold.arrived(1).await;
    database.kill().await?;
    drop(hold);
    database.restart().await?;
    all_are_synchronized(&site).await?;
    first.stop().await?;
    second.stop().await
}
