//! Network faults between a worker and its servers: black holes, one direction only, low bandwidth, refused connections. No
//! message is lost or applied twice, and the worker recovers. Connection resets are in `cut.rs`.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use lockstep_testbed::{FaultProxy, Mode, wait};

use crate::system::load::{flags, outgoing};
use crate::system::{Ground, Load, Process, Scene, Sent};

const LOAD: Load = Load {
    devices: 40,
    events: 3000,
};
/// Broker and worker detect missing heartbeats after four seconds.
const NOTICED: Duration = Duration::from_secs(30);

/// The server that a worker is cut off from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Broker,
    Database,
}

/// Starts a fault under load, waits for its full effect, ends it, and checks all messages.
async fn partition(
    from: From,
    mode: Mode,
    worst: impl AsyncFn(&Scene, &Process) -> Result<()>,
) -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed_at_least(300).await?;
    proxy(&scene, from)?.set(mode).await?;
    worst(&scene, &worker).await?;
    proxy(&scene, from)?.set(Mode::Pass).await?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

fn proxy(scene: &Scene, from: From) -> Result<&FaultProxy> {
    let servers = scene.servers()?;
    Ok(match from {
        From::Broker => &servers.to_broker,
        From::Database => &servers.to_database,
    })
}

/// Waits until the worker has dropped its connections and reconnects.
async fn lost(_: &Scene, worker: &Process) -> Result<()> {
    worker.prints("lost the connection to the broker").await
}

/// Waits until the broker has dropped the worker's connections and requeued the messages.
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

async fn store_unavailable(_: &Scene, worker: &Process) -> Result<()> {
    worker.prints("the store is unavailable").await
}

/// Waits until no message was processed for a second.
async fn standing(scene: &Scene, _: &Process) -> Result<()> {
    let records = scene.oracle().records;
    let mut before = (-1, Instant::now());
    wait::until("processing to stop", NOTICED, async || {
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
    partition(From::Database, Mode::Refuse, store_unavailable).await
}

/// A black hole that ends before a timeout: data in transit arrives late.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_silent_for_a_while() -> Result<()> {
    partition(From::Database, Mode::Blackhole, standing).await
}

/// A black hole after which the connections are unknown, as after a restart of a firewall.
#[tokio::test(flavor = "multi_thread")]
async fn the_database_is_silent_and_then_forgot_the_connections() -> Result<()> {
    partition(From::Database, Mode::Blackhole, async |scene, worker| {
        standing(scene, worker).await?;
        scene.servers()?.to_database.cut();
        store_unavailable(scene, worker).await
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

/// The bandwidth is lower than one batch needs within its timeout.
#[tokio::test(flavor = "multi_thread")]
async fn both_links_are_thin() -> Result<()> {
    partition(From::Broker, Mode::Thin(200_000), async |scene, _| {
        scene.servers()?.to_database.set(Mode::Thin(400_000)).await?;
        scene.oracle().processed_at_least(1500).await?;
        scene.servers()?.to_database.set(Mode::Pass).await
    })
    .await
}

/// Other workers have the messages of a worker that lost the database after eight seconds. The rest is for a slow machine.
const GIVEN_BACK: Duration = Duration::from_secs(40);

/// A worker loses only the database, and has taken everything in the queue. Another one processes it; the first one goes on
/// afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_the_database_gives_its_messages_back() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let cut_off = scene.worker(&[])?;
    let first = Load {
        devices: LOAD.devices,
        events: 200,
    };
    let mut sent = first.publish(&*bus).await?;
    scene.oracle().processed(&sent).await?;
    let servers = scene.servers()?;
    servers.to_database.set(Mode::Blackhole).await?;
    let began = Instant::now();
    let publish = async |sent: &mut Sent| {
        let updates = first.updates();
        bus.publish(updates.iter().map(outgoing).collect()).await?;
        sent.extend(
            updates
                .iter()
                .map(|update| (update.identity.clone(), flags(update))),
        );
        anyhow::Ok(())
    };
    publish(&mut sent).await?;

    let direct = scene.direct_store_url()?;
    let other = scene.worker(&[("LOCKSTEP__STORE__URL", &direct)])?;
    scene.oracle().processed(&sent).await?;
    let took = began.elapsed();
    ensure!(took < GIVEN_BACK, "the other worker had them after {took:?}");
    cut_off.prints("the store does not answer").await?;
    let log = cut_off.log()?;
    ensure!(!log.contains("takes messages again"), "{log}");
    other.stop().await?;

    // Nobody else is left, and nothing loops: it takes messages again when the database answers.
    publish(&mut sent).await?;
    servers.to_database.set(Mode::Pass).await?;
    scene.oracle().processed(&sent).await?;
    cut_off.prints("takes messages again").await?;
    let log = cut_off.log()?;
    ensure!(!log.contains("message will be tried again"), "{log}");
    cut_off.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}
