//! The network between a worker and its servers: silent, one-sided, thin, refusing, and well again. Nothing is lost,
//! nothing is doubled, and the worker goes on by itself. Resets are in `cut.rs`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lockstep_testbed::{FaultProxy, Mode, wait};

use crate::system::{Ground, Load, Process, Scene};

const LOAD: Load = Load {
    devices: 40,
    events: 3000,
};
/// The broker misses heartbeats after four seconds, the worker too.
const NOTICED: Duration = Duration::from_secs(30);

/// Which of its servers a worker is cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Broker,
    Database,
}

/// Begins a fault under load, waits until it did its worst, ends it, and judges.
async fn partition(
    from: From,
    mode: Mode,
    worst: impl AsyncFn(&Scene, &Process) -> Result<()>,
) -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().worked_at_least(300).await?;
    proxy(&scene, from)?.set(mode).await?;
    worst(&scene, &worker).await?;
    proxy(&scene, from)?.set(Mode::Pass).await?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().judge(&sent, &*bus).await
}

fn proxy(scene: &Scene, from: From) -> Result<&FaultProxy> {
    let servers = scene.servers()?;
    Ok(match from {
        From::Broker => &servers.to_broker,
        From::Database => &servers.to_database,
    })
}

/// The worker gave its connections up, and asks for new ones.
async fn lost(_: &Scene, worker: &Process) -> Result<()> {
    worker.says("lost the connection to the broker").await
}

/// The broker gave the worker's connections up, and has the messages again.
async fn requeued(scene: &Scene, _: &Process) -> Result<()> {
    let queue = lockstep_protocol::topology::Lane::Events.queue();
    let vhost = &scene.servers()?.vhost;
    wait::until(
        "the broker to take its messages back",
        NOTICED,
        async || match vhost.queue(queue).await {
            Ok(Some(queue)) if queue.unacknowledged == 0 => Ok(()),
            other => Err(format!("{other:?}")),
        },
    )
    .await?;
    Ok(())
}

async fn store_away(_: &Scene, worker: &Process) -> Result<()> {
    worker.says("store away").await
}

/// Nobody has worked anything for a second.
async fn standing(scene: &Scene, _: &Process) -> Result<()> {
    let records = scene.oracle().records;
    let mut before = (-1, Instant::now());
    wait::until("work to stand still", NOTICED, async || {
        let processed = records.processed().await.unwrap_or(-1);
        if processed != before.0 {
            before = (processed, Instant::now());
        }
        before.1.elapsed() > Duration::from_secs(1)
    })
    .await
    .context("it goes on")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_does_not_hear_the_worker() -> Result<()> {
    partition(From::Broker, Mode::Deaf, requeued).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_does_not_hear_the_broker() -> Result<()> {
    partition(From::Broker, Mode::Mute, lost).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_broker_is_refused() -> Result<()> {
    partition(From::Broker, Mode::Refuse, lost).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_refused() -> Result<()> {
    partition(From::Database, Mode::Refuse, store_away).await
}

/// A black hole that ends before anybody gives up: what was on its way arrives late.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_silent_for_a_while() -> Result<()> {
    partition(From::Database, Mode::Blackhole, standing).await
}

/// A black hole at whose end nobody knows of the connections any more, as after a restart of a firewall.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_silent_and_then_forgot_the_connections() -> Result<()> {
    partition(From::Database, Mode::Blackhole, async |scene, worker| {
        standing(scene, worker).await?;
        scene.servers()?.to_database.cut();
        store_away(scene, worker).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_does_not_hear_the_worker() -> Result<()> {
    partition(From::Database, Mode::Deaf, standing).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_does_not_hear_the_database() -> Result<()> {
    partition(From::Database, Mode::Mute, standing).await
}

/// Thinner than what a batch needs at once.
#[tokio::test(flavor = "multi_thread")]
async fn both_links_are_thin() -> Result<()> {
    partition(From::Broker, Mode::Thin(200_000), async |scene, _| {
        scene.servers()?.to_database.set(Mode::Thin(400_000)).await?;
        scene.oracle().worked_at_least(1500).await?;
        scene.servers()?.to_database.set(Mode::Pass).await
    })
    .await
}
