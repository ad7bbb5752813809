use std::time::{Duration, Instant};

use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::{Bus, BusError, BusStatus};
use lockstep_protocol::topology::Topology;
use lockstep_testbed::{Broker, FaultProxy, Mode, vhost, wait};

use super::fixture::{connect, consumer, declared, options};
use crate::contract::{BOUND, LANE, publish, take_and_ack, texts, work};

#[tokio::test]
async fn a_refused_login_is_reported_at_once_and_without_the_password() {
    let vhost = vhost().await.unwrap();
    let user = vhost.create_user("nobody").await.unwrap();
    let wrong_password = user.url.replace(&user.password, "hunter2");
    let wrong_vhost = format!("{}-gone", vhost.url());
    // This user has no permission on any virtual host.
    for url in [wrong_password, wrong_vhost, user.url.clone()] {
        let started = Instant::now();
        let error = AmqpBus::connect(options(&url)).await.unwrap_err();
        assert!(matches!(error, BusError::Refused { .. }), "{error:?}");
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        let said = format!("{error} {error:?} {:?}", options(&url));
        assert!(
            !said.contains("hunter2") && !said.contains(&user.password),
            "{said}"
        );
        assert!(said.contains("broker.url"), "{said}");
    }
}

#[tokio::test]
async fn an_invalid_address_is_refused() {
    let error = AmqpBus::connect(options("rabbit:5672")).await.unwrap_err();
    assert!(matches!(error, BusError::Address { .. }), "{error:?}");
    let missing = AmqpOptions {
        ca_file: Some("/nowhere/ca.pem".into()),
        ..options("amqps://rabbit")
    };
    let error = AmqpBus::connect(missing).await.unwrap_err().to_string();
    assert!(error.contains("/nowhere/ca.pem"), "{error}");
}

#[tokio::test]
async fn a_bus_starts_before_its_broker() {
    let vhost = vhost().await.unwrap();
    declared(&vhost.url()).await.close().await;
    let proxy = FaultProxy::to(vhost.addr().unwrap()).await.unwrap();
    proxy.set(Mode::Refuse).await.unwrap();

    let bus = connect(&vhost.url_through(proxy.addr())).await;
    assert_eq!(bus.status(), BusStatus::Disconnected);
    let mut consumer = consumer(&*bus, LANE, 10).await;
    let publishing = {
        let bus: std::sync::Arc<dyn Bus> = bus.clone();
        tokio::spawn(async move { publish(&bus, vec![work("early")]).await })
    };
    proxy.set(Mode::Pass).await.unwrap();
    assert_eq!(texts(&take_and_ack(&mut consumer, 1).await), ["early"]);
    publishing.await.unwrap();
    assert_eq!(bus.status(), BusStatus::Connected);
    bus.close().await;
}

#[tokio::test]
async fn a_dropped_bus_leaves_no_connection() {
    let vhost = vhost().await.unwrap();
    let bus = declared(&vhost.url()).await;
    let consumer = consumer(&*bus, LANE, 10).await;
    wait::until("both connections", BOUND, async || {
        connections(&vhost).await == Ok(2)
    })
    .await
    .unwrap();
    drop(bus);
    wait::until("no connection", BOUND, async || match connections(&vhost).await {
        Ok(0) => Ok(()),
        left => Err(format!("{left:?} connections")),
    })
    .await
    .unwrap();
    drop(consumer);
}

async fn connections(vhost: &lockstep_testbed::Vhost) -> Result<usize, String> {
    let connections = vhost.connections().await.map_err(|error| error.to_string())?;
    Ok(connections.len())
}

#[tokio::test]
async fn private_authority_is_trusted_if_it_is_configured() {
    let broker = Broker::start_with_tls().await.unwrap();
    let url = broker.tls_url().unwrap();
    // The broker may accept plain connections a little earlier than TLS connections.
    let error = wait::until("a refusal", BOUND, async || {
        AmqpBus::connect(options(&url)).await.err()
    })
    .await
    .unwrap();
    assert!(matches!(error, BusError::Untrusted { .. }), "{error:?}");
    assert!(error.to_string().contains("broker.ca_file"), "{error}");

    let trusting = AmqpOptions {
        ca_file: broker.ca_file().map(Into::into),
        ..options(&url)
    };
    let bus = AmqpBus::connect(trusting).await.unwrap();
    bus.declare(&Topology::new(0.02)).await.unwrap();
    bus.publish(vec![work("secret")]).await.unwrap();
    let mut consumer = consumer(&*bus, LANE, 10).await;
    assert_eq!(texts(&take_and_ack(&mut consumer, 1).await), ["secret"]);
    bus.close().await;
}
