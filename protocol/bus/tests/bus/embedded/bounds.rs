use std::time::Duration;

use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Bus, Outgoing};
use lockstep_protocol::Kind;
use lockstep_protocol::topology::{Argument, Destination, Queue, RESULTS, ReplyQueue, Topology};
use rusqlite::Connection;
use std::sync::Arc;

use super::{open, until};
use crate::contract::{assert_silent, consume, message, numbers, publish, take_and_ack, texts};

#[tokio::test]
async fn a_full_results_queue_drops_the_oldest() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path());
    bus.declare(&with_results("x-max-length", 10)).await.unwrap();
    publish(&bus, numbers(0..25).iter().map(result).collect()).await;
    publish(&bus, numbers(25..30).iter().map(result).collect()).await;

    let mut consumer = consume(&bus, Queue::Results, 100).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 10).await), numbers(20..30));
    assert_silent(&mut consumer).await;

    // Acknowledged messages make room.
    publish(&bus, numbers(30..40).iter().map(result).collect()).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 10).await), numbers(30..40));
    bus.close().await;
}

#[tokio::test]
async fn results_expire() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path());
    bus.declare(&with_results("x-message-ttl", 20)).await.unwrap();
    publish(&bus, numbers(0..5).iter().map(result).collect()).await;
    let file = Connection::open(folder.path().join("bus.sqlite")).unwrap();
    until("the results are gone", || rows(&file) == 0).await;
    bus.close().await;
}

#[tokio::test]
async fn a_reply_queue_expires_without_a_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let options = EmbeddedOptions {
        reply_expires: Duration::from_millis(50),
    };
    let bus: Arc<dyn Bus> = EmbeddedBus::open(folder.path(), options).unwrap();
    let file = Connection::open(folder.path().join("bus.sqlite")).unwrap();
    let reply = ReplyQueue::of(bus.user(), "1").unwrap();
    let answer = |text: &str| message(Destination::Reply(reply.clone()), text);

    let mut reader = consume(&bus, Queue::Reply(reply.clone()), 10).await;
    // It does not expire while it is consumed.
    assert_silent(&mut reader).await;
    publish(&bus, vec![answer("read")]).await;
    assert_eq!(texts(&take_and_ack(&mut reader, 1).await), ["read"]);
    reader.close().await;

    until("the reply queue is gone", || {
        let found: i64 = file
            .query_row(
                "SELECT count(*) FROM queue WHERE name = ?1",
                [reply.as_str()],
                |row| row.get(0),
            )
            .unwrap();
        found == 0
    })
    .await;
    publish(&bus, vec![answer("late")]).await;
    let mut results = consume(&bus, Queue::Results, 10).await;
    assert_eq!(texts(&take_and_ack(&mut results, 1).await), ["late"]);
    bus.close().await;
}

fn result(text: &String) -> Outgoing {
    message(Destination::Results(Kind::EventApplied), text)
}

fn with_results(argument: &str, value: i64) -> Topology {
    let mut topology = Topology::new(1.0);
    for queue in topology.queues.iter_mut().filter(|queue| queue.name == RESULTS) {
        for (_, found) in queue.arguments.iter_mut().filter(|(name, _)| *name == argument) {
            *found = Argument::Number(value);
        }
    }
    topology
}

fn rows(file: &Connection) -> i64 {
    file.query_row("SELECT count(*) FROM message", [], |row| row.get(0))
        .expect("the file can be read")
}
