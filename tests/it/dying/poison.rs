//! A message that kills whoever works it: it dies after five starts, and nobody with it.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::{Code, Envelope};

use super::publish;
use crate::system::load::{dead, envelope, hostname, update};
use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 20,
    events: 600,
};

/// A batched lane has it in a full batch once, together with other suspects once, and alone from then on.
const MOST_DEATHS: u32 = 7;

async fn dies_alone(ground: Ground, poison: Envelope) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let half = Load {
        events: LOAD.events / 2,
        ..LOAD
    };
    let mut sent = half.publish(&*bus).await?;
    publish(&*bus, &poison).await?;
    sent.insert(poison.identity.clone(), dead(Code::Crashed));
    for event in half.updates() {
        publish(&*bus, &event).await?;
        sent.insert(event.identity.clone(), crate::system::load::flags(&event));
    }
    bus.close().await;

    let oracle = scene.oracle();
    let mut deaths = 0;
    loop {
        let mut worker = scene.worker(&[("LOCKSTEP_POISON", "poison")])?;
        let status = tokio::select! {
            done = oracle.processed(&sent) => {
                done?;
                worker.stop().await?;
                break;
            }
            status = worker.ended() => status?,
        };
        ensure!(
            status.signal() == Some(9),
            "it ended with {status}: {}",
            worker.log()?
        );
        deaths += 1;
        ensure!(deaths <= MOST_DEATHS, "it kills on and on");
    }
    ensure!(deaths >= 5, "it died of {deaths} starts");
    let bus = scene.bus().await?;
    oracle.judge(&sent, &*bus).await
}

fn event() -> Envelope {
    update(&hostname(0)).with_subject("poison")
}

fn run() -> Result<Envelope> {
    let refresh = RepositoryRefreshRequested {
        repository: "settings".to_owned().try_into()?,
    };
    Ok(envelope(refresh).with_subject("poison"))
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_on_servers() -> Result<()> {
    dies_alone(Ground::Servers, event()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_embedded() -> Result<()> {
    dies_alone(Ground::Embedded, event()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_on_servers() -> Result<()> {
    dies_alone(Ground::Servers, run()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_embedded() -> Result<()> {
    dies_alone(Ground::Embedded, run()?).await
}
