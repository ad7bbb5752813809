//! A poison message that kills its worker is dead-lettered after five delivery attempts; no other message is.

use std::ops::RangeInclusive;
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

/// A batched lane processes it once in a full batch, which is not counted, once together with other redelivered messages, and
/// alone after that.
const IN_A_BATCH: RangeInclusive<u32> = 5..=7;
/// A run lane counts every start.
const IN_A_RUN: RangeInclusive<u32> = 5..=5;

async fn poison_is_dead_lettered(
    ground: Ground,
    poison: Envelope,
    expected: RangeInclusive<u32>,
) -> Result<()> {
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
    let mut crashes = 0;
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
            "the worker ended with {status}: {}",
            worker.log()?
        );
        crashes += 1;
        ensure!(crashes <= *expected.end(), "the message still kills workers");
    }
    ensure!(
        expected.contains(&crashes),
        "it was dead-lettered after {crashes} attempts"
    );
    let bus = scene.bus().await?;
    oracle.check(&sent, &*bus).await
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
    poison_is_dead_lettered(Ground::Servers, event(), IN_A_BATCH).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_batch_embedded() -> Result<()> {
    poison_is_dead_lettered(Ground::Embedded, event(), IN_A_BATCH).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_on_servers() -> Result<()> {
    poison_is_dead_lettered(Ground::Servers, run()?, IN_A_RUN).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_run_embedded() -> Result<()> {
    poison_is_dead_lettered(Ground::Embedded, run()?, IN_A_RUN).await
}
