//! The gateway on real buses: every webhook with the response 202 is in the queue of the lane.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions};
use lockstep_producer::gateway::{Gateway, GatewayLimits};
use lockstep_protocol::topology::access::Role;
use lockstep_protocol::topology::{Lane, Queue, Topology};
use lockstep_protocol::{Digest, Envelope, Identity};
use lockstep_testbed::{FaultProxy, Mode, User, Vhost, vhost, wait};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::scene::{PUSH, context, push, send};

const BOUND: Duration = Duration::from_secs(30);

fn gateway(bus: &Arc<dyn Bus>, publish_timeout: Duration) -> Router {
    let limits = GatewayLimits {
        publish_timeout,
        ..GatewayLimits::default()
    };
    Gateway::with_limits(context(bus.clone()), limits).router(CancellationToken::new())
}

/// A broker user with the permissions of the gateway.
async fn address(vhost: &Vhost) -> User {
    let user = vhost.create_user("gateway").await.expect("the broker accepts it");
    let rights = Role::Gateway.rights(&user.name);
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

/// A bus with all permissions, with the topology declared.
async fn owner(vhost: &Vhost) -> Arc<dyn Bus> {
    let bus = AmqpBus::connect(AmqpOptions::new(vhost.url()))
        .await
        .expect("the broker accepts it");
    bus.declare(&Topology::new(1.0))
        .await
        .expect("the broker accepts it");
    bus
}

/// Takes messages from the lane of repositories.
async fn take(bus: &Arc<dyn Bus>, user: &str, count: usize) -> Vec<(Identity, Digest)> {
    let options = ConsumeOptions {
        prefetch: 100,
        acknowledge: Acknowledge::InOrder,
    };
    let mut consumer = bus
        .consume(Queue::Lane(Lane::Repositories), options)
        .await
        .expect("the queue is there");
    let mut taken = Vec::new();
    while taken.len() < count {
        let batch = tokio::time::timeout(BOUND, consumer.take(100)).await;
        let batch = batch.expect("the messages are there").expect("the bus is open");
        for delivery in batch.deliveries {
            let decoded = Envelope::decode(&delivery.body).expect("what we publish can be read");
            assert_eq!(decoded.envelope.actor.as_deref(), Some("webhook:github"));
            assert_eq!(delivery.properties.user_id.as_deref(), Some(user));
            taken.push((decoded.envelope.identity, decoded.digest));
        }
        batch.receipt.ack().await;
    }
    taken
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_and_its_redelivery_are_the_same_message_on_the_embedded_bus() {
    let folder = tempfile::tempdir().unwrap();
    let bus: Arc<dyn Bus> = EmbeddedBus::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let router = gateway(&bus, BOUND);
    for _ in 0..2 {
        assert_eq!(send(&router, push(PUSH)).await.status, 202);
    }
    let taken = take(&bus, bus.user(), 2).await;
    assert_eq!(taken[0], taken[1]);
    bus.close().await;
    assert_eq!(send(&router, push(PUSH)).await.problem(), (503, "stopping"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_get_503_while_rabbitmq_is_unavailable() {
    let vhost = vhost().await.unwrap();
    let proxy = FaultProxy::to(vhost.addr().unwrap()).await.unwrap();
    let owner = owner(&vhost).await;
    let url = format!("{}?heartbeat=2", address(&vhost).await.url_through(proxy.addr()));
    let bus: Arc<dyn Bus> = AmqpBus::connect(AmqpOptions::new(url)).await.unwrap();
    let (patient, hasty) = (gateway(&bus, BOUND), gateway(&bus, Duration::from_millis(200)));
    assert_eq!(send(&patient, push(PUSH)).await.status, 202);

    for mode in [Mode::Blackhole, Mode::Refuse] {
        proxy.set(mode).await.unwrap();
        assert_eq!(send(&hasty, push(PUSH)).await.problem(), (503, "broker-away"));
        proxy.set(Mode::Pass).await.unwrap();
        assert_eq!(send(&patient, push(PUSH)).await.status, 202);
    }
    let taken = take(&owner, bus.user(), 3).await;
    assert!(taken.iter().all(|one| *one == taken[0]), "{taken:?}");
    bus.close().await;
    owner.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_get_503_while_a_queue_of_rabbitmq_is_full() {
    let vhost = vhost().await.unwrap();
    owner(&vhost).await.close().await;
    let url = address(&vhost).await.url;
    let bus: Arc<dyn Bus> = AmqpBus::connect(AmqpOptions::new(url)).await.unwrap();
    let queue = Lane::Repositories.queue();
    vhost
        .set_policy(
            "full",
            &format!("^{}$", queue.replace('.', "\\.")),
            json!({"max-length": 1}),
        )
        .await
        .unwrap();
    let router = gateway(&bus, BOUND);
    // The policy takes effect after a moment, and a quorum queue accepts a few messages above its maximum length.
    let refused = wait::until("the queue to be full", BOUND, async || {
        let answered = send(&router, push(PUSH)).await;
        (answered.status == 503).then_some(answered)
    });
    assert_eq!(refused.await.unwrap().problem(), (503, "queue-full"));
    bus.close().await;
}
