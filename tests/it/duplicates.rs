//! Duplicate messages: delivered to two workers at once, again after a restart, and the same id with other content.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Outgoing};
use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};
use lockstep_protocol::topology::{Destination, Queue};
use lockstep_protocol::{Code, Kind};

use crate::system::load::{dead, envelope, flags, hostname, outgoing, raw, update};
use crate::system::{Expected, Ground, Load, PATIENCE, Scene, Sent};

const LOAD: Load = Load {
    devices: 10,
    events: 500,
};

#[tokio::test(flavor = "multi_thread")]
async fn every_message_twice_at_once_to_two_workers() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let fleet = LOAD.fleet();
    let mut sent: Sent = [(fleet.identity.clone(), Expected::Applied { flags: None })].into();
    let one = scene.worker(&[])?;
    let other = scene.worker(&[])?;
    bus.publish(vec![outgoing(&fleet)]).await?;
    scene.oracle().processed(&sent).await?;

    // Each message and its duplicate are neighbours, so that they meet in different workers and in one batch.
    let updates = LOAD.updates();
    sent.extend(
        updates
            .iter()
            .map(|envelope| (envelope.identity.clone(), flags(envelope))),
    );
    for chunk in updates.chunks(50) {
        bus.publish(chunk.iter().chain(chunk).map(outgoing).collect())
            .await?;
    }
    scene.oracle().processed(&sent).await?;
    one.stop().await?;
    other.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

async fn again_after_a_restart(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let fleet = LOAD.fleet();
    let updates = LOAD.updates();
    let all = || std::iter::once(&fleet).chain(&updates).map(outgoing).collect();
    let mut sent: Sent = [(fleet.identity.clone(), Expected::Applied { flags: None })].into();
    bus.publish(all()).await?;
    sent.extend(
        updates
            .iter()
            .map(|envelope| (envelope.identity.clone(), flags(envelope))),
    );
    bus.close().await;
    let first = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    first.stop().await?;

    // The same messages once more, and one with a new id.
    let bus = scene.bus().await?;
    let last = update(&hostname(0));
    bus.publish(all()).await?;
    bus.publish(vec![outgoing(&last)]).await?;
    sent.insert(last.identity.clone(), flags(&last));
    bus.close().await;
    let second = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    second.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn again_after_a_restart_on_servers() -> Result<()> {
    again_after_a_restart(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn again_after_a_restart_embedded() -> Result<()> {
    again_after_a_restart(Ground::Embedded).await
}

async fn other_content_under_the_same_id(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let fleet = LOAD.fleet();
    let first = update(&hostname(0));
    let mut forged = envelope(InterfaceUpdated {
        hostname: hostname(1),
        interfaces: vec![lockstep_protocol::events::UpdatedInterface {
            name: "Ethernet1".to_owned().try_into()?,
            configuration: None,
        }],
        kind: UpdateKind::Configuration,
    });
    forged.identity = first.identity.clone();
    // The forged one twice: it is rejected once, and its outcome is stored.
    bus.publish([&fleet, &first, &forged, &forged].map(outgoing).to_vec())
        .await?;
    bus.close().await;
    let sent = [
        (fleet.identity.clone(), Expected::Applied { flags: None }),
        (first.identity.clone(), flags(&first)),
        (first.identity.of_reuse(&forged.digest()), dead(Code::IdReused)),
    ]
    .into();
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_under_the_same_id_on_servers() -> Result<()> {
    other_content_under_the_same_id(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_content_under_the_same_id_embedded() -> Result<()> {
    other_content_under_the_same_id(Ground::Embedded).await
}

/// Messages of each kind of outcome, all of them with a type that the broker routes or forwards.
fn of_each_outcome() -> Vec<Outgoing> {
    let kind = Kind::InterfaceUpdated;
    let body = |id: &str, kind: &str, data: &str| {
        format!(
            r#"{{"specversion":"1.0","id":"{id}","source":"urn:lockstep:test","type":"{kind}","data":{data}}}"#
        )
    };
    let about = |id: &str, hostname: &str, change: &str| {
        let data =
            format!(r#"{{"hostname":"{hostname}","kind":"{change}","interfaces":[{{"name":"Ethernet1"}}]}}"#);
        raw(kind, id, body(id, kind.as_str(), &data))
    };
    let by_type = |id: &str, kind: &str| Outgoing {
        destination: Destination::Type(kind.to_owned()),
        ..raw(Kind::InterfaceUpdated, id, body(id, kind, "{}"))
    };
    vec![
        about("applied", "sw1", "configuration"),
        about("ignored", "sw1", "status"),
        about("unknown", "nobody", "configuration"),
        // The same id with other content.
        about("applied", "sw2", "configuration"),
        about("unknown", "sw2", "configuration"),
        raw(kind, "invalid", body("invalid", kind.as_str(), "{}")),
        raw(kind, "undecodable", &b"not json"[..]),
        by_type("not-allowed", "lockstep.message.rejected"),
        by_type("no-route", "lockstep.nonsense"),
    ]
}

/// A result as it was published: its id, its body, its time and its correlation id.
type Published = BTreeMap<Option<String>, Vec<(Vec<u8>, Option<Timestamp>, Option<String>)>>;

/// Reads this number of results.
async fn results(bus: &dyn Bus, count: usize, found: &mut Published) -> Result<()> {
    let options = ConsumeOptions {
        prefetch: 100,
        acknowledge: Acknowledge::InOrder,
    };
    let mut consumer = bus.consume(Queue::Results, options).await?;
    let mut read = 0;
    while read < count {
        let batch = tokio::time::timeout(PATIENCE, consumer.take(100)).await;
        let batch = batch.with_context(|| format!("{read} of {count} results"))?;
        let batch = batch.context("the bus was closed")?;
        for delivery in &batch.deliveries {
            let properties = &delivery.properties;
            found
                .entry(properties.message_id.clone().map(Into::into))
                .or_default()
                .push((
                    delivery.body.to_vec(),
                    properties.timestamp,
                    properties.correlation_id.clone().map(Into::into),
                ));
        }
        read += batch.deliveries.len();
        batch.receipt.ack().await;
    }
    consumer.close().await;
    Ok(())
}

/// Each message twice in a batch, and again after a restart: all of its results are the same.
async fn results_are_the_same_again(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let messages = of_each_outcome();
    let mut found = Published::new();
    let mut processed = 0;
    for round in 0..3 {
        // The first one of a queue and its last one: when that is processed, all are.
        let fleet = LOAD.fleet();
        let last = update(&hostname(0));
        let bus = scene.bus().await?;
        bus.publish(vec![outgoing(&fleet)]).await?;
        bus.publish(messages.iter().chain(&messages).cloned().collect())
            .await?;
        bus.publish(vec![outgoing(&last)]).await?;
        bus.close().await;
        processed += 2 + if round == 0 { messages.len() } else { 0 };

        let expected = 2 * messages.len() + 2;
        let worker = scene.worker(&[])?;
        scene.oracle().processed_at_least(processed).await?;
        if ground == Ground::Servers {
            let other = scene.worker(&[])?;
            let bus = scene.bus().await?;
            results(&*bus, expected, &mut found).await?;
            other.stop().await?;
            worker.stop().await?;
        } else {
            worker.stop().await?;
            let bus = scene.bus().await?;
            results(&*bus, expected, &mut found).await?;
            bus.close().await;
        }
    }
    let mut repeated = 0;
    for (id, results) in &found {
        let [first, again @ ..] = &results[..] else {
            continue;
        };
        repeated += usize::from(again.len() == 5);
        for other in again {
            ensure!(
                first == other,
                "the results {id:?} differ: {first:?} and {other:?}"
            );
        }
    }
    ensure!(
        repeated == messages.len(),
        "{repeated} results came six times: {found:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_the_same_again_on_servers() -> Result<()> {
    results_are_the_same_again(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_the_same_again_embedded() -> Result<()> {
    results_are_the_same_again(Ground::Embedded).await
}
