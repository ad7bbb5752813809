use std::time::Duration;

use lockstep_bus::BusStatus;
use rusqlite::Connection;
use tokio::time::timeout;

use super::{open, until};
use crate::contract::{LANE, consume, publish, take_and_ack, texts, work};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishing_waits_while_the_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path());
    let other = Connection::open(folder.path().join("bus.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();

    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { publish(&bus, vec![work("patient")]).await }
    });
    until("the bus reports that it is blocked", || {
        bus.status() == BusStatus::Blocked
    })
    .await;
    // Dropping the future withdraws the request.
    let impatient = timeout(Duration::from_millis(10), bus.publish(vec![work("impatient")])).await;
    assert!(impatient.is_err());
    assert!(!waiting.is_finished());

    other.execute_batch("ROLLBACK").unwrap();
    waiting.await.unwrap();
    until("the bus is connected again", || {
        bus.status() == BusStatus::Connected
    })
    .await;
    let mut consumer = consume(&bus, LANE, 10).await;
    publish(&bus, vec![work("next")]).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 2).await), ["patient", "next"]);
    bus.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_does_not_wait_for_the_end_of_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let bus = open(folder.path());
    let other = Connection::open(folder.path().join("bus.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let waiting = tokio::spawn({
        let bus = bus.clone();
        async move { bus.publish(vec![work("never")]).await }
    });
    until("the bus reports that it is blocked", || {
        bus.status() == BusStatus::Blocked
    })
    .await;
    timeout(crate::contract::BOUND, bus.close()).await.unwrap();
    assert!(
        waiting.await.unwrap().is_err(),
        "what was never kept is never confirmed"
    );
}
