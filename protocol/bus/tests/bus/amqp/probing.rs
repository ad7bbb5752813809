//! Permission checks have no side effects, and each role has exactly the permissions it needs.

use lockstep_bus::amqp::{Access, AmqpOptions, AmqpProbe, ProbeError};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_protocol::Kind;
use lockstep_protocol::topology::access::Role;
use lockstep_protocol::topology::{self, Destination, Lane, Queue, ReplyQueue, RetryDelay};
use lockstep_testbed::{User, Vhost, vhost, wait};
use tokio::time::timeout;

use super::fixture::{connect, declared};
use crate::contract::{BOUND, message};

const OPTIONS: ConsumeOptions = ConsumeOptions {
    prefetch: 1,
    acknowledge: Acknowledge::Each,
};

async fn user_of(vhost: &Vhost, role: Role) -> User {
    let user = vhost
        .create_user(role.as_str())
        .await
        .expect("the broker accepts it");
    let rights = role.rights(&user.name);
    vhost
        .set_permissions(&user.name, &rights.configure, &rights.write, &rights.read)
        .await
        .expect("the broker accepts it");
    for topic in rights.topics {
        vhost
            .set_topic_permissions(&user.name, topic.exchange, &topic.write, &topic.read)
            .await
            .expect("the broker accepts it");
    }
    user
}

async fn probe(user: &User) -> AmqpProbe {
    AmqpProbe::connect(&AmqpOptions::new(user.url.clone()))
        .await
        .expect("the broker accepts the connection")
}

fn word(access: &Access) -> &'static str {
    match access {
        Access::Granted => "yes",
        Access::Refused { .. } => "no",
        Access::Missing => "missing",
        Access::Unknown { .. } => "unknown",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_has_exactly_its_permissions() {
    let vhost = vhost().await.unwrap();
    let setup = user_of(&vhost, Role::Setup).await;
    // The set-up user can declare every object.
    let owner = declared(&setup.url).await;
    let event = Kind::InterfaceUpdated.as_str();
    let command = Kind::SyncRequested.as_str();
    let publishing = [
        // exchange, key, and the access of: worker, gateway, console, producer, monitor
        (topology::EVENTS, event, ["no", "yes", "yes", "yes", "no"]),
        (topology::EVENTS, command, ["no", "no", "yes", "no", "no"]),
        (topology::EVENTS, "lockstep.unknown", ["no"; 5]),
        (topology::WORK, "events", ["yes", "no", "no", "no", "no"]),
        (
            RetryDelay::Seconds5.exchange(),
            "events",
            ["yes", "no", "no", "no", "no"],
        ),
        // Only the broker publishes there, by dead-lettering.
        (topology::DEAD, "", ["no"; 5]),
        (
            topology::REPLIES,
            "lockstep.reply.x.1",
            ["yes", "no", "no", "no", "no"],
        ),
        (topology::RESULTS, "x", ["yes", "no", "no", "no", "no"]),
        (topology::UNROUTED, "x", ["no"; 5]),
        // The default exchange routes to every queue.
        ("", "lockstep.lane.commands", ["no"; 5]),
    ];
    let reading = [
        (Lane::Events.queue(), ["yes", "no", "no", "no", "no"]),
        (Lane::Dead.queue(), ["yes", "no", "no", "no", "no"]),
        (topology::UNROUTED, ["yes", "no", "no", "no", "no"]),
        (topology::RESULTS, ["no"; 5]),
        (RetryDelay::Seconds5.exchange(), ["no"; 5]),
    ];
    let roles = [
        Role::Worker,
        Role::Gateway,
        Role::Console,
        Role::Producer,
        Role::Monitor,
    ];
    for (place, role) in roles.into_iter().enumerate() {
        let probe = probe(&user_of(&vhost, role).await).await;
        for (exchange, key, expected) in publishing {
            let access = probe.may_publish(exchange, key).await;
            assert_eq!(
                word(&access),
                expected[place],
                "{role} publishing to {exchange} {key}: {access:?}"
            );
        }
        for (queue, expected) in reading {
            let access = probe.may_consume(queue).await;
            assert_eq!(
                word(&access),
                expected[place],
                "{role} reading {queue}: {access:?}"
            );
        }
        probe.close().await;
    }
    for queue in vhost.queues().await.unwrap() {
        assert_eq!((queue.ready, queue.unacknowledged), (0, 0), "{queue:?}");
    }
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permission_checks_move_no_message() {
    let vhost = vhost().await.unwrap();
    let owner = declared(&vhost.url()).await;
    owner
        .publish(vec![message(Destination::Lane(Lane::Devices), "stays")])
        .await
        .unwrap();
    let probe = AmqpProbe::connect(&AmqpOptions::new(vhost.url())).await.unwrap();
    let queue = Lane::Devices.queue();
    for _ in 0..3 {
        assert_eq!(
            probe.may_publish(topology::WORK, "devices").await,
            Access::Granted
        );
        assert_eq!(
            probe.may_publish(topology::WORK, "unroutable").await,
            Access::Granted
        );
        assert_eq!(probe.may_consume(queue).await, Access::Granted);
    }
    assert_eq!(probe.may_publish("lockstep.nowhere", "x").await, Access::Missing);
    assert_eq!(probe.may_consume("lockstep.nowhere").await, Access::Missing);
    assert_eq!(probe.exchange(topology::EVENTS).await, Access::Granted);
    assert_eq!(probe.exchange("lockstep.nowhere").await, Access::Missing);
    assert_eq!(probe.queue("lockstep.nowhere").await, Err(Access::Missing));
    wait::until("the message to be counted", BOUND, async || {
        let figures = probe.queue(queue).await.map_err(|access| format!("{access:?}"))?;
        if (figures.messages, figures.consumers) == (1, 0) {
            Ok(())
        } else {
            Err(format!("{figures:?}"))
        }
    })
    .await
    .unwrap();
    probe.close().await;
    // The message was never delivered.
    let mut consumer = owner.consume(Queue::Lane(Lane::Devices), OPTIONS).await.unwrap();
    let batch = timeout(BOUND, consumer.take(1)).await.unwrap().unwrap();
    assert!(!batch.deliveries[0].redelivered);
    batch.receipt.ack().await;
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_producer_may_bind_only_its_own_reply_queues() {
    let vhost = vhost().await.unwrap();
    let owner = declared(&vhost.url()).await;
    let user = user_of(&vhost, Role::Producer).await;
    let bus = connect(&user.url).await;
    let reply = |name: &str| Queue::Reply(ReplyQueue::of(name, "1").unwrap());
    assert!(bus.consume(reply(&user.name), OPTIONS).await.is_ok());
    // Neither the queue of another user, nor of one with the same prefix, nor a pattern.
    for other in [
        "another",
        &format!("{}.more", user.name),
        &format!("{}2", user.name),
    ] {
        let refused = bus.consume(reply(other), OPTIONS).await;
        assert!(refused.is_err(), "{other}");
    }
    for pattern in ["#", "*"] {
        let queue = ReplyQueue::of(&user.name, pattern).unwrap();
        let refused = bus.consume(Queue::Reply(queue), OPTIONS).await;
        assert!(refused.is_err(), "{pattern}");
    }
    bus.close().await;
    owner.close().await;
}

#[tokio::test]
async fn a_refused_login_and_an_unreachable_broker_are_different_errors() {
    let vhost = vhost().await.unwrap();
    let wrong = vhost.url().replacen(':', ":x", 2).replacen(":x//", "://", 1);
    let error = AmqpProbe::connect(&AmqpOptions::new(wrong)).await.unwrap_err();
    assert!(matches!(error, ProbeError::Refused(_)), "{error}");
    let nobody = format!("amqp://127.0.0.1:{}", lockstep_testbed::free_port().unwrap());
    let error = AmqpProbe::connect(&AmqpOptions::new(nobody)).await.unwrap_err();
    assert!(matches!(error, ProbeError::Unavailable { .. }), "{error}");
}
