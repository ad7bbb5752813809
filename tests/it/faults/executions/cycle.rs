//! Faults between and in the stages of a task with pre- and post-tasks, while two workers run it.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::ExecutionCancelRequested;
use lockstep_testbed::{Broker, wait};
use rustix::process::Signal;

use super::cycle_site::{COMMANDS, CycleSite};
use crate::system::{Ground, PATIENCE, Scene};

const DEVICES: u32 = 60;
const ALL: usize = 60;
const AT_ONCE: usize = 10;
const LATENCY: Duration = Duration::from_millis(400);

/// A worker is killed in the pre-task, the broker in the task, and a worker in the post-task, before its checks are written.
#[tokio::test(flavor = "multi_thread")]
async fn private_broker_and_workers_killed_in_several_stages() -> Result<()> {
    let mut broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    // An orderly stop writes the queues down, see `outage`.
    broker.stop().await?;
    broker.restart().await?;
    let site = CycleSite::new(scene, DEVICES, LATENCY, AT_ONCE).await?;
    let installation = &site.installation;
    let (first, second) = installation.two_workers().await?;
    let execution = site.run().await?.number;
    site.ended_of_stage(execution, 0, ALL / 4).await?;
    first.signal(Signal::KILL)?;
    let third = installation.worker()?;
    site.ended_of_stage(execution, COMMANDS, ALL / 4).await?;
    broker.kill().await?;
    // What ends in the next stage writes a check, and waits as long as nobody may.
    let mut barring = installation.scene.servers()?.schema.connect().await?;
    let barred = barring.transaction().await?;
    barred
        .batch_execute("LOCK TABLE entity_check IN ACCESS EXCLUSIVE MODE")
        .await?;
    broker.restart().await?;
    let oracle = installation.oracle().await?;
    let runs = wait::until("a check to run", PATIENCE, async || {
        let position = site.log.position(execution).await;
        let position = position.map_err(|error| format!("{error:#}"))?;
        if position.stage <= COMMANDS {
            return Err(format!("{position:?}"));
        }
        let elements = oracle.elements().await.map_err(|error| format!("{error:#}"))?;
        let running = elements.into_iter().find(|element| element.state == "RUNNING");
        running
            .and_then(|element| element.worker)
            .ok_or_else(|| "none runs".to_owned())
    })
    .await?;
    let (killed, left) = if runs.ends_with(&format!(":{}", second.id())) {
        (second, third)
    } else {
        (third, second)
    };
    killed.signal(Signal::KILL)?;
    barred.rollback().await?;
    oracle.all_ended(1).await?;
    site.check(1).await?;
    installation.check_peak(AT_ONCE)?;
    left.stop().await
}

/// The devices ended the task, and the worker that began the check of them is killed before anybody knows. Then it is cancelled.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_is_cancelled_between_two_stages_begins_nothing_more() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = CycleSite::new(scene, 6, Duration::ZERO, 1).await?;
    let installation = &site.installation;
    // One element at once: the first stage has six ends, the second one five.
    let mut killed = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", "after-finish:11:kill")])?;
    let execution = site.run().await?;
    killed.ended().await?;
    let position = site.log.position(execution.number).await?;
    ensure!(
        (position.stage, position.ended, position.running) == (COMMANDS + 1, 0, 0),
        "{position:?}"
    );
    let requests = installation.fleet.requests();
    installation
        .publish(ExecutionCancelRequested {
            execution: execution.id.parse()?,
        })
        .await?;
    let (first, second) = installation.two_workers().await?;
    let oracle = installation.oracle().await?;
    oracle.all_ended(1).await?;

    let executions = installation.check().await?;
    let counts = executions[0].counts;
    ensure!(
        executions[0].state == "ABORTED" && (counts.failed, counts.skipped) == (1, 8),
        "{executions:?}"
    );
    let others = "SELECT count(*) FROM element WHERE state <> 'PRECHECK_FAILED'
        AND (state <> 'ABORTED' OR reason IS DISTINCT FROM 'cancelled')";
    ensure!(oracle.count(others).await? == 0, "{:?}", oracle.elements().await?);
    ensure!(
        installation.fleet.requests() == requests,
        "a device was asked after the end"
    );
    let checks = "SELECT count(*) FROM entity_check";
    ensure!(oracle.count(checks).await? == 0, "a stage began after the end");
    // What was done before is kept.
    let facts = "SELECT count(*) FROM fact";
    ensure!(oracle.count(facts).await? == 5, "facts are missing");
    site.log.check().await?;
    first.stop().await?;
    second.stop().await
}

/// Both go through the same stages on the same devices, each of which is used by one of them at a time.
#[tokio::test(flavor = "multi_thread")]
async fn two_tasks_with_pre_tasks_on_the_same_devices_take_turns() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = CycleSite::new(scene, DEVICES, LATENCY, AT_ONCE).await?;
    let (first, second) = site.installation.two_workers().await?;
    site.run().await?;
    let other = site.run().await?.number;
    let oracle = site.installation.oracle().await?;
    // The second one begins before the first one ended.
    site.ended_of_stage(other, 0, 1).await?;
    let ended = "SELECT count(*) FROM execution WHERE ended_at IS NOT NULL";
    ensure!(
        oracle.count(ended).await? == 0,
        "one ended before the other began"
    );
    oracle.all_ended(2).await?;
    site.check(2).await?;
    site.installation.check_peak(AT_ONCE)?;
    first.stop().await?;
    second.stop().await
}

/// One worker is told to stop among the devices of the pre-task, the other one among those of the task.
#[tokio::test(flavor = "multi_thread")]
async fn workers_that_stop_in_two_stages_leave_them_to_others() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = CycleSite::new(scene, DEVICES, LATENCY, AT_ONCE).await?;
    let (first, second) = site.installation.two_workers().await?;
    let execution = site.run().await?.number;
    site.ended_of_stage(execution, 0, ALL / 4).await?;
    let third = site.installation.worker()?;
    first.stop().await?;
    site.ended_of_stage(execution, COMMANDS, ALL / 4).await?;
    second.stop().await?;
    let oracle = site.installation.oracle().await?;
    let open = "SELECT count(*) FROM element WHERE outcome = 'open'";
    ensure!(
        oracle.count(open).await? > 0,
        "all had ended before the second worker stopped"
    );
    oracle.all_ended(1).await?;
    site.check(1).await?;
    site.installation.check_peak(AT_ONCE)?;
    third.stop().await
}

/// The worker ran elements of the pre-task, and goes on when others have run them again and the task has begun: what it has to say is about
/// a stage that is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stands_still_until_the_next_stage_ends_nothing_in_it() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let site = CycleSite::new(scene, DEVICES, LATENCY, AT_ONCE).await?;
    let installation = &site.installation;
    let mut first = installation.worker_with(&[("LOCKSTEP_FAIL_POINT", "element-ran:3:stop")])?;
    let execution = site.run().await?.number;
    first.stopped().await?;
    let second = installation.worker()?;
    site.ended_of_stage(execution, COMMANDS, 1).await?;
    first.signal(Signal::CONT)?;
    first.prints("the end of an element is discarded").await?;
    installation.oracle().await?.all_ended(1).await?;
    site.check(1).await?;
    installation.check_peak(AT_ONCE)?;
    first.stop().await?;
    second.stop().await
}
