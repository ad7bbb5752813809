use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lockstep_bus::amqp::AmqpBus;
use lockstep_bus::{Bus, BusError, BusStatus, Consumer};
use lockstep_protocol::topology::Topology;
use lockstep_testbed::{Broker, FaultProxy, Mode, Vhost, vhost, wait};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::fixture::{InOrder, consumer, declared, options};
use super::log::LogCounter;
use crate::contract::{BOUND, Fixture, LANE, numbers, take, take_and_ack, texts, work};

/// Longer than [`BOUND`], since a broker has to start.
const RESTART: Duration = Duration::from_secs(90);
/// How often a test kills the connections.
const KILLS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_killed_while_publishing_lose_nothing() {
    const COUNT: usize = 20_000;
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let confirmed = Arc::new(AtomicUsize::new(0));
    let publishing = publish_counted(&bus, COUNT, 4, &confirmed);
    // Kills the connections while messages of all publishers are in flight.
    for kill in 1..=KILLS {
        wait::until("publishing to go on", RESTART, async || {
            confirmed.load(Ordering::Relaxed) >= COUNT * kill / (KILLS + 2)
        })
        .await
        .unwrap();
        vhost.close_all_connections().await.unwrap();
    }
    assert!(!publishing.is_finished(), "the last kill came too late");
    timeout(RESTART, publishing).await.unwrap().unwrap();
    let mut consumer = consumer(&*bus, LANE, 2000).await;
    assert_all_come(&mut consumer, COUNT).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_killed_while_consuming_lose_nothing() {
    const COUNT: usize = 5_000;
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    publish_all(&bus, COUNT, 1).await.unwrap();
    let mut consumer = consumer(&*bus, LANE, 50).await;
    let mut missing: BTreeSet<String> = numbers(0..COUNT).into_iter().collect();
    for kill in 1..=KILLS {
        take_while(&mut consumer, &mut missing, COUNT - COUNT * kill / (KILLS + 1)).await;
        // Kills the connections between a batch and its acknowledgement.
        let batch = take(&mut consumer, 10).await;
        vhost.close_all_connections().await.unwrap();
        for text in texts(&batch.deliveries) {
            missing.remove(&text);
        }
        batch.receipt.ack().await;
    }
    take_while(&mut consumer, &mut missing, 0).await;
    consumer.close().await;
    wait::until("an empty queue", BOUND, async || depth(&vhost).await)
        .await
        .unwrap();
    bus.close().await;
}

#[tokio::test]
async fn a_consumer_resumes_after_its_queue_was_deleted_and_declared_again() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let mut consumer = consumer(&*bus, LANE, 10).await;
    bus.publish(vec![work("before")]).await.unwrap();
    assert_eq!(texts(&take_and_ack(&mut consumer, 1).await), ["before"]);

    // Declares the queue again only after the consumer noticed the deletion (docs/reference/rabbitmq.md, "Redeclaring a deleted queue").
    let lost = LogCounter::listen("a consumer lost its channel");
    vhost.delete_queue(LANE.name()).await.unwrap();
    let (batch, ()) = tokio::join!(timeout(BOUND, consumer.take(10)), async {
        wait::until("the consumer to notice the deletion", BOUND, async || {
            lost.count() > 0
        })
        .await
        .unwrap();
        bus.declare(&Topology::new(InOrder::RETRY_DELAY_SCALE))
            .await
            .unwrap();
        bus.publish(vec![work("after")]).await.unwrap();
    });
    assert_eq!(texts(&batch.unwrap().unwrap().deliveries), ["after"]);
    bus.close().await;
}

#[tokio::test]
async fn deleted_queues_are_missing_until_they_are_declared_again() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let topology = Topology::new(InOrder::RETRY_DELAY_SCALE);
    assert!(bus.missing(&topology).await.unwrap().is_empty());
    vhost.delete_queue(LANE.name()).await.unwrap();
    vhost.delete_queue("lockstep.dead").await.unwrap();
    let mut missing = bus.missing(&topology).await.unwrap();
    missing.sort();
    assert_eq!(missing, ["lockstep.dead", LANE.name()]);
    bus.declare(&topology).await.unwrap();
    assert!(bus.missing(&topology).await.unwrap().is_empty());
    bus.close().await;
    assert!(matches!(bus.missing(&topology).await, Err(BusError::Closed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silently_dead_connection_is_detected_and_replaced() {
    let vhost = vhost().await.unwrap();
    declared(&vhost.url()).await.close().await;
    let proxy = FaultProxy::to(vhost.addr().unwrap()).await.unwrap();
    let bus = declared(&vhost.url_through(proxy.addr())).await;
    let mut consumer = consumer(&*bus, LANE, 10).await;
    bus.publish(vec![work("before")]).await.unwrap();
    let held = take(&mut consumer, 1).await;

    proxy.set(Mode::Blackhole).await.unwrap();
    let started = Instant::now();
    let publishing = publish_all(&bus, 100, 1);
    wait::until("the loss to be noticed", BOUND, async || {
        bus.status() == BusStatus::Disconnected
    })
    .await
    .unwrap();
    let noticed = started.elapsed();
    assert!(noticed < options("").heartbeat * 3, "noticed after {noticed:?}");
    // Acknowledging on the dead connection does not block.
    timeout(Duration::from_secs(1), held.receipt.ack()).await.unwrap();

    // Data written to the old connections is lost.
    proxy.cut();
    proxy.set(Mode::Pass).await.unwrap();
    timeout(BOUND, publishing).await.unwrap().unwrap();
    assert_all_come(&mut consumer, 100).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_alarm_blocks_publishers_and_not_acknowledgements() {
    let broker = Broker::start().await.unwrap();
    let vhost = broker.vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    bus.publish(numbers(0..10).into_iter().map(work).collect())
        .await
        .unwrap();
    let mut consumer = consumer(&*bus, LANE, 10).await;
    let first = take(&mut consumer, 1).await;

    broker.ctl(&["set_vm_memory_high_watermark", "0"]).await.unwrap();
    let publishing = publish_all(&bus, 1000, 2);
    wait::until("the alarm to be noticed", BOUND, async || {
        bus.status() == BusStatus::Blocked
    })
    .await
    .unwrap();
    first.receipt.ack().await;
    take_and_ack(&mut consumer, 9).await;
    wait::until("an empty queue", BOUND, async || depth(&vhost).await)
        .await
        .unwrap();
    assert!(!publishing.is_finished());
    assert_eq!(bus.status(), BusStatus::Blocked);

    // A bus can be closed during the alarm, although the broker does not respond.
    let other = declared(&vhost.url()).await;
    let stuck = publish_all(&other, 1, 1);
    wait::until("the alarm to be noticed", BOUND, async || {
        other.status() == BusStatus::Blocked
    })
    .await
    .unwrap();
    timeout(Duration::from_secs(12), other.close()).await.unwrap();
    assert!(stuck.await.is_err(), "the publisher gets an error");

    broker
        .ctl(&["set_vm_memory_high_watermark", "0.4"])
        .await
        .unwrap();
    timeout(BOUND, publishing).await.unwrap().unwrap();
    assert_eq!(bus.status(), BusStatus::Connected);
    assert_all_come(&mut consumer, 1000).await;
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn private_broker_killed_and_restarted_loses_nothing() {
    const COUNT: usize = 20_000;
    let mut broker = Broker::start().await.unwrap();
    let vhost = broker.vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let mut consumer = consumer(&*bus, LANE, 200).await;
    let publishing = publish_all(&bus, COUNT, 2);
    let consuming = tokio::spawn(async move {
        assert_all_come(&mut consumer, COUNT).await;
        consumer
    });
    broker.kill().await.unwrap();
    wait::until("the loss to be noticed", BOUND, async || {
        bus.status() == BusStatus::Disconnected
    })
    .await
    .unwrap();
    broker.restart().await.unwrap();
    timeout(RESTART, publishing).await.unwrap().unwrap();
    timeout(RESTART, consuming).await.unwrap().unwrap();
    bus.close().await;
}

/// Publishes `count` messages in batches of a hundred, from `publishers` tasks. Panics if publishing fails.
fn publish_all(bus: &Arc<AmqpBus>, count: usize, publishers: usize) -> JoinHandle<()> {
    publish_counted(bus, count, publishers, &Arc::default())
}

/// Like [`publish_all`]; counts confirmed messages.
fn publish_counted(
    bus: &Arc<AmqpBus>,
    count: usize,
    publishers: usize,
    confirmed: &Arc<AtomicUsize>,
) -> JoinHandle<()> {
    let mut shares = vec![Vec::new(); publishers];
    for (index, batch) in numbers(0..count).chunks(100).enumerate() {
        shares[index % publishers].push(batch.to_vec());
    }
    let mut tasks = JoinSet::new();
    for share in shares {
        let (bus, confirmed) = (Arc::clone(bus), Arc::clone(confirmed));
        tasks.spawn(async move {
            for batch in share {
                let count = batch.len();
                bus.publish(batch.into_iter().map(work).collect())
                    .await
                    .expect("the messages can be published");
                confirmed.fetch_add(count, Ordering::Relaxed);
            }
        });
    }
    tokio::spawn(async move {
        tasks.join_all().await;
    })
}

/// Takes and acknowledges until every number arrived at least once.
async fn assert_all_come(consumer: &mut Box<dyn Consumer>, count: usize) {
    let mut missing = numbers(0..count).into_iter().collect();
    take_while(consumer, &mut missing, 0).await;
}

/// Takes and acknowledges while more than `left` numbers are missing.
async fn take_while(consumer: &mut Box<dyn Consumer>, missing: &mut BTreeSet<String>, left: usize) {
    while missing.len() > left {
        let batch = timeout(RESTART, consumer.take(100))
            .await
            .unwrap_or_else(|_| panic!("{} messages never arrived", missing.len()))
            .expect("the bus is open");
        for text in texts(&batch.deliveries) {
            missing.remove(&text);
        }
        batch.receipt.ack().await;
    }
}

/// Ok if the queue has no ready and no unacknowledged messages; otherwise the error describes its content.
async fn depth(vhost: &Vhost) -> Result<(), String> {
    let queue = vhost
        .queue(LANE.name())
        .await
        .map_err(|error| error.to_string())?;
    match queue {
        Some(queue) if queue.ready + queue.unacknowledged == 0 => Ok(()),
        other => Err(format!("{other:?}")),
    }
}
