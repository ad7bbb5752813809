//! One command requeues ten thousand dead letters, and its worker is killed while it publishes them.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use lockstep_testbed::wait;

use super::{ended, publish_in, requeue_all};
use crate::system::{Expected, Ground, Load, PATIENCE, Scene};

const LOAD: Load = Load {
    devices: 100,
    events: 10_000,
};

async fn killed_during_fan_out(ground: Ground, load: Load) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let oracle = scene.oracle();
    let bus = scene.bus().await?;
    // Their devices are not known yet.
    let mut sent = crate::system::Sent::new();
    for chunk in load.updates().chunks(500) {
        bus.publish(chunk.iter().map(crate::system::load::outgoing).collect())
            .await?;
        let expected = chunk
            .iter()
            .map(|event| (event.identity.clone(), crate::system::load::flags(event)));
        sent.extend(expected);
    }
    bus.close().await;
    let worker = scene.worker(&[("LOCKSTEP__WORKER__BATCH_SIZE", "500")])?;
    oracle.processed(&sent).await?;
    worker.stop().await?;
    ensure!(oracle.records.dead_letters().await?.len() == load.events);

    let (fleet, command) = (load.fleet(), requeue_all());
    for message in [&fleet, &command] {
        publish_in(&scene, message).await?;
        sent.insert(message.identity.clone(), Expected::Applied { flags: None });
    }
    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", "amid-fan-out:2:kill")])?;
    let status = first.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "the worker ended with {status}: {}",
        first.log()?
    );
    ensure!(ended(&oracle, &command.identity, 0).await? == "applied");

    let second = scene.worker(&[])?;
    wait::until("all of them to be processed again", PATIENCE * 2, async || {
        let dead_letters = oracle
            .records
            .dead_letters()
            .await
            .map_err(|error| format!("{error:#}"))?;
        let open = dead_letters
            .values()
            .filter(|dead_letter| dead_letter.state != "processed")
            .count();
        if open == 0 {
            Ok(())
        } else {
            Err(format!("{open} are not processed"))
        }
    })
    .await?;
    second.stop().await?;
    let bus = scene.bus().await?;
    oracle.check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_servers() -> Result<()> {
    killed_during_fan_out(Ground::Servers, LOAD).await
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() -> Result<()> {
    let fewer = Load { events: 2000, ..LOAD };
    killed_during_fan_out(Ground::Embedded, fewer).await
}
