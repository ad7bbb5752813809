//! A RabbitMQ cluster of three nodes; the node that leads the queues is killed under load.

use anyhow::{Result, ensure};
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_protocol::topology::{Lane, Topology};
use lockstep_testbed::{Cluster, wait};

use crate::system::load::{flags, outgoing};
use crate::system::{Load, PATIENCE, RETRY_DELAY_SCALE, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 4000,
};

#[tokio::test(flavor = "multi_thread")]
async fn private_the_leader_is_killed_under_load_twice() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let schema = lockstep_testbed::schema().await?;
    let scene = Scene::on(cluster.nodes[1].vhost().await?, schema).await?;
    let vhost = &scene.servers()?.vhost;
    // The worker is connected to the second node. The queues are declared on the first one, which becomes their leader.
    for queue in vhost.queues().await? {
        vhost.delete_queue(&queue.name).await?;
    }
    let first = vhost.url_through(cluster.nodes[0].addr());
    let declaring = AmqpBus::connect(AmqpOptions::new(first)).await?;
    declaring.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
    declaring.close().await;
    let events = Lane::Events.queue();
    let leader = vhost.leader(events).await?;
    ensure!(leader == cluster.nodes[0].node(), "{leader} leads");

    let bus = scene.bus().await?;
    let mut sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed_at_least(500).await?;
    cluster.nodes[0].kill().await?;
    let new_leader = wait::until("another leader", PATIENCE, async || {
        match vhost.leader(events).await {
            Ok(node) if node != leader => Ok(node),
            other => Err(format!("{other:?}")),
        }
    });
    let new_leader = new_leader.await?;
    ensure!(cluster.nodes[1..].iter().any(|node| node.node() == new_leader));
    scene.oracle().processed(&sent).await?;

    // The first node starts again and the third one is killed: two of three nodes run, wherever the leader is.
    cluster.nodes[0].restart().await?;
    let updates = LOAD.updates();
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    let expected = updates
        .iter()
        .map(|envelope| (envelope.identity.clone(), flags(envelope)));
    sent.extend(expected);
    cluster.nodes[2].kill().await?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}
