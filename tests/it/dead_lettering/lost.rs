//! Messages that the broker dead-lettered, and messages that it could not route.

use anyhow::{Result, ensure};
use lockstep_bus::Outgoing;
use lockstep_protocol::Code;
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::topology::{Destination, Lane, Topology};
use lockstep_testbed::wait;
use serde_json::json;

use super::{dead_letter, ended, publish, requeue};
use crate::system::load::{dead, envelope, flags, outgoing};
use crate::system::{Expected, Ground, Load, PATIENCE, RETRY_DELAY_SCALE, Scene, Sent};

const LOAD: Load = Load {
    devices: 5,
    events: 20,
};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_broker_are_answered_stored_and_requeued() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let vhost = &scene.servers()?.vhost;
    let bus = scene.bus().await?;
    let oracle = scene.oracle();
    // No worker runs, and a message TTL dead-letters the messages. The dead letter lane treats that like the delivery limit.
    let queue = Lane::Events.queue();
    vhost
        .set_policy("age", queue, json!({"message-ttl": 100}))
        .await?;
    let events = LOAD.updates();
    bus.publish(events.iter().map(outgoing).collect()).await?;
    wait::until("the broker to dead-letter them", PATIENCE, async || {
        match vhost.queue(Lane::Dead.queue()).await {
            Ok(Some(queue)) if queue.ready >= events.len() as u64 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    vhost
        .set_policy("age", queue, json!({"message-ttl": 86_400_000}))
        .await?;

    let worker = scene.worker(&[])?;
    let mut sent: Sent = events
        .iter()
        .map(|event| (event.identity.clone(), dead(Code::DeliveryLimit)))
        .collect();
    oracle.processed(&sent).await?;
    let fleet = LOAD.fleet();
    publish(&*bus, &fleet).await?;
    sent.insert(fleet.identity.clone(), Expected::Applied { flags: None });
    ensure!(ended(&oracle, &fleet.identity, 0).await? == "applied");
    let command = requeue(dead_letter(&oracle, &events[0].identity, 0).await?)?;
    publish(&*bus, &command).await?;
    sent.insert(command.identity.clone(), Expected::Applied { flags: None });
    sent.insert(events[0].identity.clone(), flags(&events[0]));
    ensure!(ended(&oracle, &events[0].identity, 1).await? == "applied");
    worker.stop().await?;
    ensure!(
        vhost
            .queue(Lane::Dead.queue())
            .await?
            .is_some_and(|queue| queue.ready == 0)
    );
    oracle.check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_binding_waits_for_its_lane_and_an_unknown_type_is_rejected() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let vhost = &scene.servers()?.vhost;
    let bus = scene.bus().await?;
    let oracle = scene.oracle();
    vhost.delete_queue(Lane::Repositories.queue()).await?;
    let worker = scene.worker(&[("LOCKSTEP__WORKER__LANES", "events,commands,dead")])?;
    let refresh = envelope(RepositoryRefreshRequested {
        repository: "settings".to_owned().try_into()?,
    });
    let nonsense = br#"{"specversion":"1.0","id":"1","source":"urn:lockstep:test","type":"lockstep.nonsense","data":{}}"#;
    let unknown = Outgoing {
        destination: Destination::Type("lockstep.nonsense".to_owned()),
        body: nonsense.to_vec().into(),
        ..outgoing(&refresh)
    };
    bus.publish(vec![outgoing(&refresh), unknown]).await?;
    let unknown_type = lockstep_protocol::Identity {
        source: "urn:lockstep:test".to_owned().try_into()?,
        id: "1".to_owned().try_into()?,
    };
    ensure!(ended(&oracle, &unknown_type, 0).await? == "dead");
    ensure!(
        oracle.records.processed().await? == 1,
        "the other message is not processed yet"
    );

    // The set-up declares the lane again, and its worker gets the message published meanwhile.
    bus.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
    let other = scene.worker(&[("LOCKSTEP__WORKER__LANES", "repositories")])?;
    ensure!(
        ended(&oracle, &refresh.identity, 0).await? == "dead",
        "no repository is configured"
    );
    for worker in [worker, other] {
        worker.stop().await?;
    }
    let sent: Sent = [
        (unknown_type, dead(Code::UnknownType)),
        (refresh.identity.clone(), dead(Code::UnknownRepository)),
    ]
    .into();
    oracle.check(&sent, &*bus).await
}
