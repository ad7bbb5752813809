//! Duplicate messages: delivered to two workers at once, again after a restart, and the same id with other content.

use anyhow::Result;
use lockstep_protocol::Code;
use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};

use crate::system::load::{dead, envelope, flags, hostname, outgoing, update};
use crate::system::{Expected, Ground, Load, Scene, Sent};

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
