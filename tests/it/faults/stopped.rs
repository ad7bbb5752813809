//! A worker is stopped in each step of a batch, until its messages go to another worker, and resumed. The same during a
//! repository sync under a lease is in `repositories/stopped.rs`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lockstep_protocol::Envelope;
use rustix::process::Signal;

use crate::system::load::{flags, outgoing};
use crate::system::{Ground, Load, Scene, Sent};

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
    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:3:stop"))])?;
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

fn expect(sent: &mut Sent, updates: &[Envelope]) {
    let expected = updates
        .iter()
        .map(|update| (update.identity.clone(), flags(update)));
    sent.extend(expected);
}

/// All about one device, so that every batch needs the same lock.
const ONE_DEVICE: Load = Load {
    devices: 1,
    events: 600,
};

/// The locks of a stopped worker end with its transaction, five seconds later. What the broker delivered to it ends with its
/// missing heartbeats, some seconds later. The rest is for a slow machine.
const GOES_ON: Duration = Duration::from_secs(25);

/// A worker is stopped while its transaction holds a lock. Another one waits for it, says who holds it, and goes on after some
/// seconds.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_transaction_holds_up_others_for_seconds() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let second = scene.worker(&[])?;
    second.prints("worker started").await?;
    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", "after-inbox:3:stop")])?;
    first.prints("worker started").await?;
    // The device first, because both workers process the messages about it.
    let fleet = Load {
        events: 0,
        ..ONE_DEVICE
    };
    let mut sent = fleet.publish(&*bus).await?;
    let oracle = scene.oracle();
    oracle.processed(&sent).await?;
    let updates = ONE_DEVICE.updates();
    expect(&mut sent, &updates);
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    first.stopped().await?;
    let began = Instant::now();

    let updates = ONE_DEVICE.updates();
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    expect(&mut sent, &updates);
    oracle.processed(&sent).await?;
    let took = began.elapsed();
    ensure!(took < GOES_ON, "it went on after {took:?}");

    second.prints("another session holds").await?;
    let log = second.log()?;
    let holder = format!(":{}", first.id());
    let named = log.lines().find(|line| line.contains("another session holds"));
    ensure!(
        named.is_some_and(|line| line.contains("lockstep ") && line.contains(&holder)),
        "the log does not name {holder}: {named:?}"
    );
    first.signal(Signal::CONT)?;
    first.stop().await?;
    second.stop().await?;
    oracle.check(&sent, &*bus).await
}
