//! A worker is stopped in each step of a batch, until its messages go to another worker, and resumed. The same during a
//! repository sync under a lease is in `repositories/stopped.rs`.

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use rustix::process::Signal;

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 40,
    events: 600,
};
const POINTS: [&str; 6] = [
    "after-received",
    "after-inbox",
    "after-commit",
    "after-publish",
    "after-confirm",
    "before-ack",
];

/// Stops a worker at a fail point, lets another worker finish, and then resumes the first one.
async fn stopped_at(point: &str) -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    // Its locks are released after three seconds instead of thirty.
    let store = scene.store_url("-c idle_in_transaction_session_timeout=3s")?;
    let environment = [
        ("LOCKSTEP_FAIL_POINT", format!("{point}:3:stop")),
        ("LOCKSTEP__STORE__URL", store),
    ];
    let environment = environment.each_ref().map(|(key, value)| (*key, value.as_str()));
    let mut first = scene.worker(&environment)?;
    first.stopped().await?;

    let second = scene.worker(&[])?;
    let oracle = scene.oracle();
    oracle.processed(&sent).await?;
    first.signal(Signal::CONT)?;
    // It finishes its messages in flight before it ends.
    first.stop().await?;
    second.stop().await?;
    oracle.check(&sent, &*bus).await
}

/// Concurrent, because they mostly wait until the broker misses a heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_heartbeat_and_resumed_in_every_step() -> Result<()> {
    let stops = POINTS.map(async |point| stopped_at(point).await.context(point));
    try_join_all(stops).await?;
    Ok(())
}
