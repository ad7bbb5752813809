//! Connections are lost repeatedly with a thousand unprocessed messages in flight: no message is taken for poison.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::topology::Lane;
use lockstep_testbed::{Vhost, wait};
use rustix::process::Signal;

use crate::system::load::{flags, hostname, outgoing, update};
use crate::system::{Ground, Load, PATIENCE, Scene, Sent};

/// Minimum number of lost connections.
const LOSSES: usize = 25;
/// Losses per worker process. A single worker would soon wait two seconds before each new connection.
const IN_A_ROW: usize = 3;
const PREFETCH: usize = 1000;
const LOAD: Load = Load {
    devices: 40,
    events: 1500,
};

#[tokio::test(flavor = "multi_thread")]
async fn lost_25_times_with_a_thousand_messages_in_flight() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let bus = scene.bus().await?;
    // The devices exist before the losses, because redelivered messages may come in another order.
    let fleet = Load { events: 0, ..LOAD }.publish(&*bus).await?;
    let importing = scene.worker(&[])?;
    scene.oracle().processed(&fleet).await?;
    importing.stop().await?;
    let updates = LOAD.updates();
    bus.publish(updates.iter().map(outgoing).collect()).await?;
    let updates = updates
        .iter()
        .map(|update| (update.identity.clone(), flags(update)));
    let mut sent: Sent = fleet.into_iter().chain(updates).collect();
    let ours = connections(&servers.vhost).await?;
    // Prevents commits in between.
    let locking = servers.schema.connect().await?;
    locking
        .batch_execute("BEGIN; LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        .await?;

    let prefetch = PREFETCH.to_string();
    let environment = [
        ("LOCKSTEP__WORKER__PREFETCH", prefetch.as_str()),
        ("LOCKSTEP__WORKER__BATCH_SIZE", prefetch.as_str()),
        ("LOCKSTEP__WORKER__LANES", "events"),
    ];
    let mut losses = 0;
    while losses < LOSSES {
        let mut worker = scene.worker(&environment)?;
        let mut before = BTreeSet::new();
        for _ in 0..IN_A_ROW {
            before = connected(&servers.vhost, &ours, &before).await?;
            holds(&servers.vhost, &mut sent, &*bus).await?;
            servers.to_broker.cut();
            losses += 1;
        }
        // The second signal makes the worker requeue its messages.
        worker.signal(Signal::TERM)?;
        worker.prints("stopping").await?;
        worker.signal(Signal::TERM)?;
        worker.ended().await?;
    }
    locking.batch_execute("COMMIT").await?;

    let last = scene.worker(&environment)?;
    scene.oracle().processed(&sent).await?;
    last.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

async fn connections(vhost: &Vhost) -> Result<BTreeSet<String>> {
    let connections = vhost.connections().await?;
    Ok(connections
        .into_iter()
        .map(|connection| connection.name)
        .collect())
}

/// Waits until the worker has two new connections, one to consume and one to publish.
async fn connected(
    vhost: &Vhost,
    ours: &BTreeSet<String>,
    before: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let connected = wait::until("new connections of the worker", PATIENCE, async || {
        let all = connections(vhost).await.map_err(|error| format!("{error:#}"))?;
        let theirs: BTreeSet<String> = all.difference(ours).cloned().collect();
        if theirs.len() == 2 && theirs.is_disjoint(before) {
            Ok(theirs)
        } else {
            Err(format!("{theirs:?} after {before:?}"))
        }
    });
    Ok(connected.await?)
}

/// Waits until the worker has as many unacknowledged messages as its prefetch allows. The broker's figures may be stale; one
/// more message in the total proves that they are current.
async fn holds(vhost: &Vhost, sent: &mut Sent, bus: &dyn Bus) -> Result<()> {
    let event = update(&hostname(0));
    bus.publish(vec![outgoing(&event)]).await?;
    sent.insert(event.identity.clone(), flags(&event));
    // All but the import.
    let (total, prefetch) = (sent.len() as u64 - 1, PREFETCH as u64);
    let held = wait::until("a full prefetch of the worker", PATIENCE, async || {
        let queue = vhost.queue(Lane::Events.queue()).await;
        let queue = queue.and_then(|queue| queue.context("there is no queue"));
        match queue {
            Ok(queue) if queue.unacknowledged == prefetch && queue.ready == total - prefetch => Ok(()),
            other => Err(format!("{other:?} of {total}")),
        }
    });
    held.await?;
    ensure!(total > prefetch, "there are too few messages for a full prefetch");
    Ok(())
}
