//! A worker is killed by SIGKILL between any two steps: no message is lost or applied twice.

use anyhow::{Result, ensure};
use std::os::unix::process::ExitStatusExt;

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 40,
    events: 1200,
};

/// Kills a worker when it passes a fail point for the third time, and lets another worker finish.
async fn killed_at(ground: Ground, point: &str) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    bus.close().await;

    let mut first = scene.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:3:kill"))])?;
    let status = first.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "the worker ended with {status} instead of being killed: {}",
        first.log()?
    );

    let second = scene.worker(&[])?;
    let oracle = scene.oracle();
    oracle.processed(&sent).await?;
    second.stop().await?;
    let bus = scene.bus().await?;
    oracle.check(&sent, &*bus).await
}

killed_at! {
    after_received: "after-received",
    after_inbox: "after-inbox",
    after_commit: "after-commit",
    after_publish: "after-publish",
    after_confirm: "after-confirm",
    before_ack: "before-ack",
}
