//! Answers without a reader, and reply queues that are full or deleted: processing goes on, and a repeated request gets its
//! answer. That no user gets another's answers is tested in the bus.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Outgoing};
use lockstep_protocol::topology::{Queue, RESULTS, ReplyQueue};
use lockstep_protocol::{Envelope, Identity};
use lockstep_testbed::wait;
use serde_json::json;

use crate::system::load::{flags, outgoing};
use crate::system::{Expected, Ground, Load, PATIENCE, Scene, Sent, cause};

const LOAD: Load = Load {
    devices: 20,
    events: 300,
};
const BYPASSED: &str = "the reply queue is full";

#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_results() -> Result<()> {
    const MAX_LENGTH: u64 = 20;
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let vhost = &scene.servers()?.vhost;
    let limit = json!({"max-length": MAX_LENGTH});
    vhost.set_policy("results", "^lockstep\\.results$", limit).await?;
    let worker = scene.worker(&[])?;
    let fleet = LOAD.fleet();
    let updates = LOAD.updates();
    let all = || std::iter::once(&fleet).chain(&updates).map(outgoing).collect();
    let mut sent: Sent = [(fleet.identity.clone(), Expected::Applied { flags: None })].into();
    expect(&mut sent, &updates);
    bus.publish(all()).await?;
    scene.oracle().processed(&sent).await?;
    wait::until("empty lanes and few results", PATIENCE, async || {
        let queues = vhost.queues().await.map_err(|error| format!("{error:#}"))?;
        let lanes = queues
            .iter()
            .filter(|queue| queue.name.starts_with("lockstep.lane."));
        let work: u64 = lanes.map(|queue| queue.ready + queue.unacknowledged).sum();
        let results = queues.iter().find(|queue| queue.name == RESULTS);
        match (work, results.map(|queue| queue.ready)) {
            (0, Some(1..=MAX_LENGTH)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;

    // The oldest results were dropped, but the store has every outcome: a repeated request gets its answer.
    vhost.delete_policy("results").await?;
    bus.publish(all()).await?;
    scene.oracle().check(&sent, &*bus).await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_queue_is_full() -> Result<()> {
    const MAX_LENGTH: usize = 5;
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let vhost = &scene.servers()?.vhost;
    let queue = declared(&*bus, "full").await?;
    let limit = json!({"max-length": MAX_LENGTH});
    vhost.set_policy("replies", "^lockstep\\.reply\\.", limit).await?;
    let worker = scene.worker(&[])?;
    let mut sent = LOAD.publish(&*bus).await?;
    let updates = LOAD.updates();
    expect(&mut sent, &updates);
    bus.publish(asking(&updates, &queue)).await?;
    scene.oracle().processed(&sent).await?;
    // Each answer is either in the results or in its reply queue.
    let kept = wait::until("an answer to each request", PATIENCE, async || {
        let log = worker.log().map_err(|error| format!("{error:#}"))?;
        let bypassed = log.matches(BYPASSED).count();
        let found = vhost.queue(queue.as_str()).await;
        let found = found
            .map_err(|error| format!("{error:#}"))?
            .ok_or("the queue does not exist")?;
        let kept = usize::try_from(found.ready).unwrap_or(usize::MAX);
        if bypassed + kept == updates.len() {
            Ok(kept)
        } else {
            Err(format!(
                "{bypassed} bypassed and {kept} kept of {}",
                updates.len()
            ))
        }
    })
    .await?;
    ensure!(kept < updates.len() / 2, "{kept} were kept");
    worker.stop().await?;
    let elsewhere = read(&*bus, &queue, kept).await?;
    scene.oracle().check_with(&sent, &elsewhere, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_queue_goes_away() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let queue = declared(&*bus, "gone").await?;
    let worker = scene.worker(&[])?;
    let mut sent = LOAD.publish(&*bus).await?;
    let updates = LOAD.updates();
    expect(&mut sent, &updates);
    let (before, after) = updates.split_at(LOAD.events / 2);
    bus.publish(asking(before, &queue)).await?;
    read(&*bus, &queue, 1).await?;
    scene.servers()?.vhost.delete_queue(queue.as_str()).await?;
    bus.publish(asking(after, &queue)).await?;
    // Answers in the deleted queue are lost. Repeated requests get them, in the results if the reply queue does not exist.
    bus.publish(asking(before, &queue)).await?;
    scene.oracle().check(&sent, &*bus).await?;
    ensure!(!worker.log()?.contains(BYPASSED), "the queue was not full");
    worker.stop().await
}

fn expect(sent: &mut Sent, updates: &[Envelope]) {
    let expected = updates
        .iter()
        .map(|envelope| (envelope.identity.clone(), flags(envelope)));
    sent.extend(expected);
}

/// Messages that ask for answers in this queue.
fn asking(updates: &[Envelope], queue: &ReplyQueue) -> Vec<Outgoing> {
    let asking = updates.iter().map(|envelope| {
        let mut request = outgoing(envelope);
        request.properties.reply_to = Some(queue.as_str().into());
        request
    });
    asking.collect()
}

const OPTIONS: ConsumeOptions = ConsumeOptions {
    prefetch: 100,
    acknowledge: Acknowledge::InOrder,
};

/// Declares a reply queue without a reader.
async fn declared(bus: &dyn Bus, name: &str) -> Result<ReplyQueue> {
    let queue = ReplyQueue::of(bus.user(), name)?;
    let consumer = bus.consume(Queue::Reply(queue.clone()), OPTIONS).await?;
    consumer.close().await;
    Ok(queue)
}

/// Reads at least this number of answers and returns the messages they belong to.
async fn read(bus: &dyn Bus, queue: &ReplyQueue, count: usize) -> Result<BTreeSet<Identity>> {
    let mut consumer = bus.consume(Queue::Reply(queue.clone()), OPTIONS).await?;
    let mut causes = BTreeSet::new();
    while causes.len() < count {
        let taking = tokio::time::timeout(PATIENCE, consumer.take(100));
        let batch = taking.await?.context("the bus was closed")?;
        for delivery in &batch.deliveries {
            causes.insert(cause(&Envelope::decode(&delivery.body)?.envelope)?);
        }
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(causes)
}
