//! What the broker gave up, and what it could not route.

use anyhow::{Result, ensure};
use lockstep_bus::Outgoing;
use lockstep_protocol::Code;
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::topology::{Destination, Lane, Topology};
use lockstep_testbed::wait;
use serde_json::json;

use super::{dead_letter, ended, publish, requeue};
use crate::system::load::{dead, envelope, flags, outgoing};
use crate::system::{Expected, Ground, LADDER_SCALE, Load, PATIENCE, Scene, Sent};

const LOAD: Load = Load {
    devices: 5,
    events: 20,
};

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_broker_are_answered_filed_and_requeued() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let vhost = &scene.servers()?.vhost;
    let bus = scene.bus().await?;
    let oracle = scene.oracle();
    // Nobody works, and the lane lets messages die of old age: to the dead letters that is as good as a delivery limit.
    let queue = Lane::Events.queue();
    vhost
        .set_policy("age", queue, json!({"message-ttl": 100}))
        .await?;
    let events = LOAD.updates();
    bus.publish(events.iter().map(outgoing).collect()).await?;
    wait::until("the broker to give them up", PATIENCE, async || {
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
    oracle.judge(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_binding_waits_for_its_lane_and_what_nobody_knows_is_rejected() -> Result<()> {
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
    let nobody = lockstep_protocol::Identity {
        source: "urn:lockstep:test".to_owned().try_into()?,
        id: "1".to_owned().try_into()?,
    };
    ensure!(ended(&oracle, &nobody, 0).await? == "dead");
    ensure!(
        oracle.records.processed().await? == 1,
        "the other one is on its way"
    );

    // The set-up makes the lane anew, and whoever works it finds what was published meanwhile.
    bus.declare(&Topology::new(LADDER_SCALE)).await?;
    let other = scene.worker(&[("LOCKSTEP__WORKER__LANES", "repositories")])?;
    ensure!(
        ended(&oracle, &refresh.identity, 0).await? == "dead",
        "no repository is configured"
    );
    for worker in [worker, other] {
        worker.stop().await?;
    }
    let sent: Sent = [
        (nobody, dead(Code::UnknownType)),
        (refresh.identity.clone(), dead(Code::UnknownRepository)),
    ]
    .into();
    oracle.judge(&sent, &*bus).await
}
