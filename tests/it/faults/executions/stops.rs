//! Executions are paused and stopped while two workers run them: nothing begins after that is committed, until they are resumed.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::{
    ExecutionPauseRequested, ExecutionResumeRequested, ExecutionsResumeRequested, ExecutionsStopRequested,
};

use super::Installation;
use crate::system::{ExecutionOracle, Ground, Scene};

const ELEMENTS: u32 = 300;
/// The devices of the execution that is paused; the others are of another one.
const PAUSED: usize = 280;
const ALL: usize = 300;
const AT_ONCE: usize = 20;
const LATENCY: Duration = Duration::from_millis(400);

/// How many elements of these executions began after this time, which the database had when nothing was to begin any more.
fn begun_since(since: &str, executions: &str) -> String {
    format!(
        "SELECT count(*) FROM element WHERE started_at > '{since}'::timestamptz AND execution IN ({executions})"
    )
}

async fn now(installation: &Installation) -> Result<String> {
    let client = installation.scene.servers()?.schema.connect().await?;
    Ok(client
        .query_one("SELECT clock_timestamp()::text", &[])
        .await?
        .get(0))
}

/// Waits until nothing of the execution runs.
async fn finished(oracle: &ExecutionOracle, execution: i64) -> Result<()> {
    let running = format!("SELECT count(*) FROM element WHERE state = 'RUNNING' AND execution = {execution}");
    oracle.none("what runs to finish", &running).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_paused_execution_begins_on_any_worker() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    let paused = installation.run(0..PAUSED).await?;
    oracle.ended_at_least(PAUSED / 4).await?;
    let execution = paused.id.parse()?;
    installation
        .publish(ExecutionPauseRequested { execution })
        .await?;
    let running = format!(
        "SELECT count(*) FROM execution WHERE NOT paused AND number = {}",
        paused.number
    );
    oracle.none("the execution to be paused", &running).await?;
    let since = now(&installation).await?;
    finished(&oracle, paused.number).await?;
    let requests = installation.fleet.requests();
    ensure!(requests < PAUSED, "all of it ran before it was paused");

    // Another execution goes on meanwhile, on both workers.
    installation.run(PAUSED..ALL).await?;
    oracle.all_ended(1).await?;
    ensure!(
        installation.fleet.requests() == requests + (ALL - PAUSED),
        "a device of the paused execution was asked"
    );
    let begun = begun_since(&since, &paused.number.to_string());
    ensure!(oracle.count(&begun).await? == 0, "elements began meanwhile");

    installation
        .publish(ExecutionResumeRequested { execution })
        .await?;
    oracle.all_ended(2).await?;
    let executions = installation.check().await?;
    ensure!(
        executions.iter().all(|execution| execution.state == "SUCCESSFUL"),
        "{executions:?}"
    );
    installation.check_peak(AT_ONCE)?;
    ensure!(installation.fleet.requests() == ALL, "an element ran twice");
    first.stop().await?;
    second.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_on_any_worker_while_all_is_stopped() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let installation = Installation::new(scene, ELEMENTS, LATENCY, Some(AT_ONCE)).await?;
    let oracle = installation.oracle().await?;
    let (first, second) = installation.two_workers().await?;
    let running = installation.run(0..PAUSED).await?;
    oracle.ended_at_least(PAUSED / 4).await?;
    installation
        .publish(ExecutionsStopRequested { note: None })
        .await?;
    oracle
        .none("the stop", "SELECT count(*) FROM execution_stop WHERE at IS NULL")
        .await?;
    let since = now(&installation).await?;
    finished(&oracle, running.number).await?;
    let requests = installation.fleet.requests();
    ensure!(requests < PAUSED, "all of it ran before the stop");

    // A new execution is accepted, and its elements are claimed and held back.
    let new = installation.run(PAUSED..ALL).await?;
    let queued = format!(
        "SELECT count(*) FROM element WHERE execution = {} AND waits_for IS NULL",
        new.number
    );
    oracle.none("the new elements to wait", &queued).await?;
    let begun = begun_since(&since, &format!("{}, {}", running.number, new.number));
    ensure!(oracle.count(&begun).await? == 0, "elements began meanwhile");
    ensure!(
        installation.fleet.requests() == requests,
        "a device was asked during the stop"
    );

    installation.publish(ExecutionsResumeRequested {}).await?;
    oracle.all_ended(2).await?;
    let executions = installation.check().await?;
    ensure!(
        executions.iter().all(|execution| execution.state == "SUCCESSFUL"),
        "{executions:?}"
    );
    installation.check_peak(AT_ONCE)?;
    ensure!(installation.fleet.requests() == ALL, "an element ran twice");
    first.stop().await?;
    second.stop().await
}
