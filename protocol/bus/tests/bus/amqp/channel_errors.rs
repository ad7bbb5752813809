use lapin::options::QueueBindOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions, PublishError};
use lockstep_protocol::Kind;
use lockstep_protocol::topology::{self, Destination, Lane, Queue, ReplyQueue, Topology};
use lockstep_testbed::{User, Vhost, vhost, wait};
use serde_json::json;
use tokio::time::timeout;

use super::fixture::{connect, consumer, declared};
use crate::contract::{BOUND, Fixture, LANE, message, numbers, take_and_ack, texts, work};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_denied_message_does_not_affect_other_publishers() {
    let vhost = vhost().await.unwrap();
    let owner = declared(&vhost.url()).await;
    let user = vhost.create_user("worker").await.unwrap();
    vhost
        .set_permissions(&user.name, "^$", r"^lockstep\.work$", "^$")
        .await
        .unwrap();
    let bus = connect(&user.url).await;

    let others = {
        let bus = bus.clone();
        tokio::spawn(async move {
            for chunk in numbers(0..2000).chunks(100) {
                bus.publish(chunk.iter().map(work).collect()).await?;
            }
            Ok::<(), PublishError>(())
        })
    };
    for _ in 0..20 {
        let ingress = message(Destination::Ingress(Kind::InterfaceUpdated), "forbidden");
        let denied = timeout(BOUND, bus.publish(vec![work("before"), ingress]))
            .await
            .unwrap();
        let Err(PublishError::Denied {
            exchange,
            routing_key,
            reason,
        }) = denied
        else {
            panic!("{denied:?}");
        };
        assert_eq!(exchange, "lockstep.events");
        assert_eq!(routing_key, "lockstep.interface.updated");
        assert!(reason.contains("ACCESS_REFUSED"), "{reason}");
    }
    others.await.unwrap().unwrap();
    let mut consumer = consumer(&*owner, LANE, 500).await;
    let mut seen = texts(&take_and_ack(&mut consumer, 2020).await);
    seen.retain(|text| text != "before");
    assert_eq!(seen, numbers(0..2000));
    bus.close().await;
    owner.close().await;
}

#[tokio::test]
async fn publishing_to_a_missing_exchange_is_denied() {
    let vhost = vhost().await.unwrap();
    let bus = connect(&vhost.url()).await;
    let denied = timeout(BOUND, bus.publish(vec![work("nowhere")])).await.unwrap();
    assert!(
        matches!(&denied, Err(PublishError::Denied { exchange, .. }) if exchange == "lockstep.work"),
        "{denied:?}"
    );
    bus.close().await;
}

#[tokio::test]
async fn a_text_longer_than_amqp_allows_is_denied() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let long = "x".repeat(256);
    for message in [work(&long), message(Destination::Type(long.clone()), "short")] {
        let denied = bus.publish(vec![message]).await;
        assert!(matches!(&denied, Err(PublishError::Denied { .. })), "{denied:?}");
    }
    bus.close().await;
}

#[tokio::test]
async fn a_full_ingress_lane_is_an_error_for_the_publisher() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let limit = json!({"max-length": 5});
    vhost
        .set_policy("inlet", r"^lockstep\.lane\.events$", limit)
        .await
        .unwrap();

    let full = wait::until("a full ingress lane", BOUND, async || {
        let ingress = message(Destination::Ingress(Kind::InterfaceUpdated), "more");
        bus.publish(vec![ingress]).await.err()
    })
    .await
    .unwrap();
    assert!(
        matches!(&full, PublishError::Full { exchange, count: 1 } if exchange == "lockstep.events"),
        "{full:?}"
    );
    // Publishing succeeds again once there is room.
    let mut consumer = consumer(&*bus, Queue::Lane(Lane::Events), 100).await;
    take_and_ack(&mut consumer, 5).await;
    let ingress = message(Destination::Ingress(Kind::InterfaceUpdated), "more");
    wait::until("room", BOUND, async || {
        bus.publish(vec![ingress.clone()]).await.is_ok()
    })
    .await
    .unwrap();
    bus.close().await;
}

#[tokio::test]
async fn replies_bypass_a_full_reply_queue() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let reply = ReplyQueue::of(bus.user(), "full").unwrap();
    consumer(&*bus, Queue::Reply(reply.clone()), 1)
        .await
        .close()
        .await;
    let limit = json!({"max-length": 2});
    vhost
        .set_policy("replies", r"^lockstep\.reply\.", limit)
        .await
        .unwrap();

    let mut published = 0;
    wait::until("a bypass", BOUND, async || {
        let mut answer = message(Destination::Reply(reply.clone()), published);
        answer.properties.kind = Some(Kind::ElementFinished.as_str().into());
        bus.publish(vec![answer]).await.unwrap();
        published += 1;
        bus.bypassed() > 0
    })
    .await
    .unwrap();

    let mut results = consumer(&*bus, Queue::Results, 10).await;
    let bypassed = take_and_ack(&mut results, 1).await;
    assert_eq!(texts(&bypassed), [(published - 1).to_string()]);
    assert_eq!(bypassed[0].routing_key, Kind::ElementFinished.as_str());
    let mut requester = consumer(&*bus, Queue::Reply(reply), 10).await;
    let kept = take_and_ack(&mut requester, published - 1).await;
    assert_eq!(texts(&kept), numbers(0..published - 1));
    assert_eq!(bus.bypassed(), 1);
    bus.close().await;
}

/// With the permissions of a requester a user can read its own reply queues and no others.
#[tokio::test]
async fn a_user_cannot_read_the_replies_of_another() {
    let vhost = vhost().await.unwrap();
    let worker = declared(&vhost.url()).await;
    let (netbox, mallory) = (
        requester(&vhost, "netbox").await,
        requester(&vhost, "mallory").await,
    );
    let theirs = connect(&netbox.url).await;
    let reply = ReplyQueue::of(theirs.user(), "secret").unwrap();
    let mut answers = consumer(&*theirs, Queue::Reply(reply.clone()), 10).await;

    // The name alone does not give access: the queue can be neither declared again nor consumed.
    let spy = connect(&mallory.url).await;
    let options = ConsumeOptions {
        prefetch: 1,
        acknowledge: Acknowledge::Each,
    };
    let Err(refused) = spy.consume(Queue::Reply(reply.clone()), options).await else {
        panic!("the user reads the replies of another");
    };
    assert!(matches!(refused, BusError::Declare { .. }), "{refused}");

    // The user cannot bind its own queue with the name of another one's reply queue, or with a pattern.
    let own = ReplyQueue::of(spy.user(), "own").unwrap();
    let mut own_answers = consumer(&*spy, Queue::Reply(own.clone()), 10).await;
    let connection = Connection::connect(&mallory.url, ConnectionProperties::default())
        .await
        .unwrap();
    let others = [reply.as_str(), "#", "lockstep.reply.*.*", "*.*.*.*"];
    for key in others {
        let channel = connection.create_channel().await.unwrap();
        let bound = channel
            .queue_bind(
                own.as_str().into(),
                topology::REPLIES.into(),
                key.into(),
                QueueBindOptions::default(),
                FieldTable::default(),
            )
            .await;
        let refused = bound.expect_err(key).to_string();
        assert!(refused.contains("access to topic"), "{key}: {refused}");
    }
    connection.close(200, "seen".into()).await.unwrap();

    worker
        .publish(vec![
            message(Destination::Reply(reply), "for netbox"),
            message(Destination::Reply(own), "for mallory"),
        ])
        .await
        .unwrap();
    assert_eq!(texts(&take_and_ack(&mut answers, 1).await), ["for netbox"]);
    assert_eq!(texts(&take_and_ack(&mut own_answers, 1).await), ["for mallory"]);
    for bus in [worker, theirs, spy] {
        bus.close().await;
    }
}

/// A user who may publish events and read its own replies.
async fn requester(vhost: &Vhost, role: &str) -> User {
    let user = vhost.create_user(role).await.expect("a user");
    let own = format!("lockstep\\.reply\\.{}\\..*", user.name);
    let (configure, write, read) = (
        format!("^{own}$"),
        format!("^(lockstep\\.events|{own})$"),
        format!("^(lockstep\\.replies|{own})$"),
    );
    vhost
        .set_permissions(&user.name, &configure, &write, &read)
        .await
        .expect("permissions");
    vhost
        .set_topic_permissions(&user.name, topology::REPLIES, "^$", &format!("^{own}$"))
        .await
        .expect("permissions");
    user
}

#[tokio::test]
async fn a_queue_that_cannot_be_consumed_is_reported_at_once() {
    let vhost = vhost().await.unwrap();
    let bus = connect(&vhost.url()).await;
    let options = ConsumeOptions {
        prefetch: 1,
        acknowledge: Acknowledge::Each,
    };
    let Err(missing) = bus.consume(LANE, options).await else {
        panic!("consumes a queue that does not exist");
    };
    assert!(
        missing.to_string().contains("declare the broker's objects first"),
        "{missing}"
    );

    bus.declare(&Topology::new(super::fixture::InOrder::RETRY_DELAY_SCALE))
        .await
        .unwrap();
    let user = vhost.create_user("blind").await.unwrap();
    vhost.set_permissions(&user.name, "^$", "^$", "^$").await.unwrap();
    let blind = connect(&user.url).await;
    let Err(refused) = blind.consume(LANE, options).await else {
        panic!("consumes a queue without permission");
    };
    assert!(matches!(&refused, BusError::Consume { queue, .. } if queue == LANE.name()));
    assert!(refused.to_string().contains("read permission"), "{refused}");

    let refused = blind.declare(&Topology::new(1.0)).await.unwrap_err();
    assert!(matches!(&refused, BusError::Declare { .. }), "{refused}");
    let other = bus.declare(&Topology::new(0.5)).await.unwrap_err().to_string();
    assert!(
        other.contains("lockstep.delay.5s") && other.contains("other arguments"),
        "{other}"
    );
    blind.close().await;
    bus.close().await;
}
