//! A broker that takes no message as large as those that it took before: what a worker cannot publish for its size ends as a short
//! result or as a dead letter, and no lane stands still.

use anyhow::{Context, Result, ensure};
use lockstep_bus::{Bus, Outgoing};
use lockstep_protocol::commands::DeadLetterRequeueRequested;
use lockstep_protocol::events::{InterfaceUpdated, InventoryImported, RepositoryChanged};
use lockstep_protocol::topology::{Destination, Lane};
use lockstep_protocol::{Code, Envelope, Identity, Kind};
use lockstep_testbed::Broker;
use serde_json::json;

use crate::system::load::{dead, envelope, flags, hostname, outgoing, raw, update};
use crate::system::{Expected, Load, Scene, Sent};

const FLEET: Load = Load {
    devices: 3,
    events: 0,
};
/// The broker's limit in bytes. With the default limit of RabbitMQ 4, 16 MiB, the same happens to larger messages.
const LIMIT: usize = 20_000;

/// Longer than the limit.
fn long() -> String {
    "x".repeat(LIMIT * 3 / 2)
}

/// An import whose result lists more devices than the limit allows.
fn import() -> Result<Envelope> {
    let devices: Vec<_> = (0..400)
        .map(|number| {
            let hostname = format!("{}-{number}", "long".repeat(12));
            json!({"hostname": hostname, "device_type": "ACCESS", "synchronized": true})
        })
        .collect();
    let import: InventoryImported = serde_json::from_value(json!({"devices": devices}))?;
    Ok(envelope(import))
}

/// A push to a repository whose remote is missing: it is retried.
fn push() -> Result<Envelope> {
    let paths: Vec<String> = (0..400)
        .map(|number| format!("{}/{number}.yml", "devices".repeat(10)))
        .collect();
    let change: RepositoryChanged = serde_json::from_value(json!({
        "repository": "settings", "branch": "main", "before": "0".repeat(40), "after": "7".repeat(40),
        "forced": false, "paths": paths,
    }))?;
    Ok(envelope(change))
}

/// An event about a device that does not exist: it is dead-lettered, and requeued.
fn ghost() -> Result<Envelope> {
    let update: InterfaceUpdated = serde_json::from_value(json!({
        "hostname": "ghost", "kind": "configuration",
        "interfaces": [{"name": "Ethernet1", "configuration": {"text": long()}}],
    }))?;
    Ok(envelope(update))
}

/// A message of a newer worker: it is postponed.
fn newer() -> Result<(Identity, Outgoing)> {
    let identity = Identity {
        source: "urn:lockstep:test".to_owned().try_into()?,
        id: "newer".to_owned().try_into()?,
    };
    let body = json!({
        "specversion": "1.0", "id": "newer", "source": "urn:lockstep:test",
        "type": "lockstep.internal.newer", "data": {"text": long()},
    });
    let message = Outgoing {
        destination: Destination::Lane(Lane::Events),
        ..raw(Kind::InterfaceUpdated, "newer", body.to_string())
    };
    Ok((identity, message))
}

#[tokio::test(flavor = "multi_thread")]
async fn private_what_the_broker_refuses_for_its_size_ends_and_the_lanes_go_on() -> Result<()> {
    let broker = Broker::start().await?;
    let scene = Scene::on(broker.vhost().await?, lockstep_testbed::schema().await?).await?;
    let bus = scene.bus().await?;
    let mut sent = FLEET.publish(&*bus).await?;
    let ghost = ghost()?;
    bus.publish(vec![outgoing(&ghost)]).await?;
    sent.insert(ghost.identity.clone(), dead(Code::UnknownDevice));
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;

    // All of it was taken before the limit was set, and cannot be published again.
    let number = {
        let client = scene.servers()?.schema.connect().await?;
        let row = client.query_one("SELECT number FROM dead_letter", &[]).await?;
        row.get::<_, i64>(0)
    };
    let requeue = envelope(DeadLetterRequeueRequested {
        dead_letter: Some(number.try_into()?),
        matching: None,
    });
    let (import, push, (newer, newer_message)) = (import()?, push()?, newer()?);
    let good = update(&hostname(0));
    let mut messages: Vec<Outgoing> = [&import, &push, &requeue, &good].map(outgoing).into();
    messages.push(newer_message);
    bus.publish(messages).await?;
    sent.extend([
        (import.identity.clone(), Expected::Applied { flags: None }),
        (requeue.identity.clone(), Expected::Applied { flags: None }),
        (good.identity.clone(), flags(&good)),
        (push.identity.clone(), dead(Code::TooLargeForBroker)),
        (newer, dead(Code::TooLargeForBroker)),
        (ghost.identity.clone(), dead(Code::TooLargeForBroker)),
    ]);
    broker
        .ctl(&[
            "eval",
            &format!("application:set_env(rabbit, max_message_size, {LIMIT})."),
        ])
        .await?;
    let settings = ("LOCKSTEP__REPOSITORIES__SETTINGS__URL", "/nowhere/settings");
    let worker = scene.worker(&[settings])?;
    scene.oracle().processed(&sent).await?;
    redriven(&scene, number).await?;
    // The lanes go on, also after a restart.
    one_more(&scene, &mut sent, &*bus).await?;
    worker.stop().await?;
    let worker = scene.worker(&[settings])?;
    one_more(&scene, &mut sent, &*bus).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

/// Waits until the requeued message is dead-lettered again.
async fn redriven(scene: &Scene, number: i64) -> Result<()> {
    let client = scene.servers()?.schema.connect().await?;
    let query = "SELECT state, (SELECT count(*) FROM dead_letter later WHERE later.id = dead_letter.id AND later.redrive_count = 1 \
                 AND later.code = 'too-large-for-broker') FROM dead_letter WHERE number = $1";
    let found = lockstep_testbed::wait::until(
        "the requeued message to be dead-lettered again",
        crate::system::PATIENCE,
        async || match client.query_one(query, &[&number]).await {
            Ok(row) if row.get::<_, i64>(1) == 1 => Ok(row.get::<_, String>(0)),
            Ok(row) => Err(format!("it is {:?}", row.get::<_, String>(0))),
            Err(error) => Err(error.to_string()),
        },
    );
    let state = found.await.context("no second dead letter")?;
    ensure!(state == "processed", "the first one is {state}");
    Ok(())
}

async fn one_more(scene: &Scene, sent: &mut Sent, bus: &dyn Bus) -> Result<()> {
    let event = update(&hostname(1));
    bus.publish(vec![outgoing(&event)]).await?;
    sent.insert(event.identity.clone(), flags(&event));
    scene.oracle().processed(sent).await
}
