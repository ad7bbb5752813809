//! Commits are accepted, and other syncs are asked for, while devices are pushed.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::SyncRequested;
use lockstep_simulators::fleet::When;
use serde_json::json;

use super::site::{COMMIT, Site};
use crate::system::{Ground, Scene};

const BOTH: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_the_middle_of_a_push_reaches_no_device_of_it() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 8, Duration::ZERO).await?;
    let (first, second) = site.two_workers().await?;
    let hold = site.fleet.hold(0, COMMIT, When::Before);
    let limits = json!({"at_once": 1});
    site.sync(json!({"targets": "all", "dry_run": false, "limits": limits}))
        .await?;
    hold.arrived(1).await;
    site.write_vlan(20)?;
    site.refresh("templates").await?;
    drop(hold);
    let oracle = site.oracle().await?;
    oracle.all_ended(1).await?;
    site.check_devices(20).await?;
    let executions = oracle.executions().await?;
    ensure!(executions[0].counts.done == 8, "{executions:?}");
    for device in 0..BOTH {
        ensure!(site.runs(device, 10), "device {device} has another commit");
        ensure!(!site.is_synchronized(device).await?, "device {device} is flagged");
    }
    site.push().await?;
    oracle.all_ended(2).await?;
    let executions = site.check(20).await?;
    ensure!(executions[1].counts.done == 8, "{executions:?}");
    for device in 0..BOTH {
        ensure!(site.is_synchronized(device).await? && site.fleet.totals(device).confirms == 2);
    }
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_syncs_of_one_device_take_turns_and_push_once() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let (first, second) = site.two_workers().await?;
    let hold = site.fleet.hold(0, COMMIT, When::Before);
    site.push().await?;
    hold.arrived(1).await;
    site.push().await?;
    drop(hold);
    let oracle = site.oracle().await?;
    oracle.all_ended(2).await?;
    let executions = site.check(10).await?;
    ensure!(
        executions.iter().all(|execution| execution.counts.done == 1),
        "{executions:?}"
    );
    let totals = site.fleet.totals(0);
    ensure!((totals.commits, totals.confirms) == (1, 1), "{totals:?}");
    ensure!(site.is_synchronized(0).await?);
    first.stop().await?;
    second.stop().await
}

/// What was planned is not what would be pushed now: for one reason or another, nothing is.
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_applied_only_where_nothing_changed_since() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 3, Duration::ZERO).await?;
    let (first, second) = site.two_workers().await?;
    let oracle = site.oracle().await?;
    let reasons = async |execution: i64| -> Result<Vec<Option<String>>> {
        let elements = oracle.elements().await?;
        let its = elements
            .into_iter()
            .filter(|element| element.execution == execution);
        Ok(its.map(|element| element.reason).collect())
    };

    let plan = site.sync(json!({"targets": "all"})).await?;
    oracle.all_ended(1).await?;
    // Nobody has synchronized the devices yet, so this is no drift.
    site.fleet.change_by_hand(0, &["vlan 77"])?;
    let applied = site.sync(json!({"plan": plan.id, "dry_run": false})).await?;
    oracle.all_ended(2).await?;
    let found = reasons(applied.number).await?;
    ensure!(
        found == [Some("diff-changed".to_owned()), None, None],
        "{found:?}"
    );
    ensure!(site.fleet.totals(0).commits == 0 && site.runs(1, 10) && site.runs(2, 10));
    ensure!(!site.is_synchronized(0).await? && site.is_synchronized(1).await?);

    let plan = site.sync(json!({"targets": "all"})).await?;
    oracle.all_ended(3).await?;
    site.write_vlan(20)?;
    site.refresh("templates").await?;
    let applied = site.sync(json!({"plan": plan.id, "dry_run": false})).await?;
    oracle.all_ended(4).await?;
    let found = reasons(applied.number).await?;
    ensure!(found == [Some("generation-changed".to_owned())], "{found:?}");
    ensure!(site.fleet.totals(0).commits == 0);

    let plan = site.sync(json!({"targets": "all"})).await?;
    oracle.all_ended(5).await?;
    site.sync(json!({"plan": plan.id, "dry_run": false})).await?;
    oracle.all_ended(6).await?;
    let executions = site.check(20).await?;
    ensure!(executions[5].counts.done == 3, "{executions:?}");
    for device in 0..3 {
        ensure!(site.is_synchronized(device).await? && site.runs(device, 20));
    }
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn where_approval_is_required_workers_reject_what_has_none() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = Site::new(scene, 1, Duration::ZERO).await?;
    let required = [("LOCKSTEP__SYNC__APPROVAL", "required")];
    let (first, second) = site.two_workers_with(&required).await?;
    let request: SyncRequested = serde_json::from_value(json!({"targets": "all", "dry_run": false}))?;
    let request = site.publish(request).await?;
    let rejection = site.rejection(&request).await?;
    ensure!(rejection["code"] == "plan-required", "{rejection}");
    let oracle = site.oracle().await?;
    ensure!(oracle.executions().await?.is_empty() && site.fleet.requests() == 0);

    let plan = site.sync(json!({"targets": "all"})).await?;
    oracle.all_ended(1).await?;
    let unapproved: SyncRequested = serde_json::from_value(json!({"plan": plan.id, "dry_run": false}))?;
    let unapproved = site.publish(unapproved).await?;
    let rejection = site.rejection(&unapproved).await?;
    ensure!(rejection["code"] == "not-approved", "{rejection}");
    ensure!(site.fleet.totals(0).commits == 0 && !site.is_synchronized(0).await?);
    first.stop().await?;
    second.stop().await
}
