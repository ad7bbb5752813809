//! Broker and database are killed and restarted under load.

use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_testbed::{Broker, Database, wait};

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 6000,
};

/// How soon a worker processes messages after its broker is back; four times that on a slow machine.
const RESUME: Duration = Duration::from_secs(10);

/// Waits until a part of the load is processed, so that the fault hits in the middle.
async fn in_the_middle(scene: &Scene) -> Result<()> {
    scene.oracle().processed_at_least(500).await
}

#[tokio::test(flavor = "multi_thread")]
async fn private_broker_killed_and_started_again() -> Result<()> {
    let mut broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    // An orderly stop writes the queues down: RabbitMQ 3.10 that is killed seconds after their declaration can lose the messages of
    // one, and confirms nothing for it afterwards (docs/reference/rabbitmq.md).
    broker.stop().await?;
    broker.restart().await?;
    let worker = scene.worker(&[])?;
    in_the_middle(&scene).await?;
    broker.kill().await?;
    broker.restart().await?;
    if let Err(error) = scene.oracle().resumed(&sent, RESUME * 4).await {
        let vhost = scene.servers()?.vhost.name().to_owned();
        let state = [
            "list_queues",
            "-p",
            &vhost,
            "name",
            "state",
            "leader",
            "messages",
            "consumers",
        ];
        let queues = broker.ctl(&state).await;
        return Err(error.context(format!("{queues:?}\n{}", worker.log()?)));
    }
    scene.oracle().processed(&sent).await?;
    let log = worker.log()?;
    worker.stop().await?;
    let count = |text| log.matches(text).count();
    let lost = count("lost the connection to the broker");
    // A connection on which a starting broker confirms nothing is given up, and counts as lost.
    ensure!((1..=4).contains(&lost), "lost {lost} times: {log}");
    ensure!(
        count("connected to the broker again") == lost,
        "one line for each change: {log}"
    );
    ensure!(
        count(" WARN ") == lost && count("ERROR") == 0 && count("lapin") == 0,
        "no other line about it: {log}"
    );
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn private_database_killed_and_started_again() -> Result<()> {
    let mut database = Database::start().await?;
    let scene = Scene::on(lockstep_testbed::vhost().await?, database.schema().await?).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    in_the_middle(&scene).await?;
    database.kill().await?;
    database.restart().await?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn backends_terminated_and_connections_closed_again_and_again() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    let client = servers.schema.connect().await?;
    let terminate = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                     WHERE pid <> pg_backend_pid() AND application_name LIKE 'lockstep%' \
                     AND query LIKE '%inbox%' AND datname = current_database()";
    for round in 1..=5 {
        scene.oracle().processed_at_least(round * 800).await?;
        servers.to_broker.cut();
        client.execute(terminate, &[]).await?;
    }
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_black_hole_between_worker_and_broker_ends() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    in_the_middle(&scene).await?;
    servers.to_broker.set(lockstep_testbed::Mode::Blackhole).await?;
    // The heartbeat detects the dead link: afterwards the broker has no connection of the worker.
    wait::until(
        "the worker to drop the dead connection",
        Duration::from_secs(30),
        async || servers.to_broker.connections() == 0,
    )
    .await
    .ok();
    servers.to_broker.set(lockstep_testbed::Mode::Pass).await?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}
