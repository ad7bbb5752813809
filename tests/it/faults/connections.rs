//! Connections lost again and again with a thousand messages in hand, of which none was worked: no innocent dies.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_bus::Bus;
use lockstep_protocol::topology::Lane;
use lockstep_testbed::{Vhost, wait};
use rustix::process::Signal;

use crate::system::load::{flags, hostname, outgoing, update};
use crate::system::{Ground, Load, PATIENCE, Scene, Sent};

/// How often at least.
const LOSSES: usize = 25;
/// How often the same worker. One alone would soon wait ten seconds each time before it connects again; and who holds
/// two batches that cannot begin takes nothing, and hears of a lost channel only when it looks after it.
const IN_A_ROW: usize = 3;
const PREFETCH: usize = 1000;
const LOAD: Load = Load {
    devices: 40,
    events: 1500,
};

#[tokio::test(flavor = "multi_thread")]
async fn lost_25_times_and_more_with_a_thousand_messages_in_hand() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let bus = scene.bus().await?;
    let mut sent = LOAD.publish(&*bus).await?;
    let ours = connections(&servers.vhost).await?;
    // So that nothing is committed in between.
    let locking = servers.schema.connect().await?;
    locking
        .batch_execute("BEGIN; LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
        .await?;

    let prefetch = PREFETCH.to_string();
    let environment = [
        ("LOCKSTEP__WORKER__PREFETCH", prefetch.as_str()),
        ("LOCKSTEP__WORKER__BATCH_SIZE", prefetch.as_str()),
        ("LOCKSTEP__WORKER__BATCH_LINGER_MS", "100"),
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
        // The second signal makes it give back what it holds.
        worker.signal(Signal::TERM)?;
        worker.says("stopping").await?;
        worker.signal(Signal::TERM)?;
        worker.ended().await?;
    }
    locking.batch_execute("COMMIT").await?;

    let last = scene.worker(&environment)?;
    scene.oracle().processed(&sent).await?;
    last.stop().await?;
    scene.oracle().judge(&sent, &*bus).await
}

async fn connections(vhost: &Vhost) -> Result<BTreeSet<String>> {
    let connections = vhost.connections().await?;
    Ok(connections
        .into_iter()
        .map(|connection| connection.name)
        .collect())
}

/// Waits until the worker has two connections, one to consume and one to publish, and none of those it had before.
async fn connected(
    vhost: &Vhost,
    ours: &BTreeSet<String>,
    before: &BTreeSet<String>,
) -> Result<BTreeSet<String>> {
    let connected = wait::until("the worker to be connected anew", PATIENCE, async || {
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

/// Waits until the worker holds as much as it may. The broker's figures may be old: that they are not is told by one
/// message more.
async fn holds(vhost: &Vhost, sent: &mut Sent, bus: &dyn Bus) -> Result<()> {
    let event = update(&hostname(0));
    bus.publish(vec![outgoing(&event)]).await?;
    sent.insert(event.identity.clone(), flags(&event));
    let (total, prefetch) = (sent.len() as u64, PREFETCH as u64);
    let held = wait::until("the worker to hold what it may", PATIENCE, async || {
        let queue = vhost.queue(Lane::Events.queue()).await;
        let queue = queue.and_then(|queue| queue.context("there is no queue"));
        match queue {
            Ok(queue) if queue.unacknowledged == prefetch && queue.ready == total - prefetch => Ok(()),
            other => Err(format!("{other:?} of {total}")),
        }
    });
    held.await?;
    ensure!(total > prefetch, "there is not enough to hold");
    Ok(())
}
