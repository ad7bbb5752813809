//! Connections are cut between any two steps: the worker recovers, and no message is lost or applied twice.

use anyhow::Result;
use rustix::process::Signal;

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 40,
    events: 1200,
};

/// Stops a worker at a fail point, cuts its connections, and resumes it.
async fn cut_at(point: &str) -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;

    let mut worker = scene.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:3:stop"))])?;
    worker.stopped().await?;
    let servers = scene.servers()?;
    servers.to_broker.cut();
    servers.to_database.cut();
    worker.signal(Signal::CONT)?;

    let oracle = scene.oracle();
    oracle.processed(&sent).await?;
    worker.stop().await?;
    oracle.check(&sent, &*bus).await
}

macro_rules! cut_at {
    ($($name:ident: $point:literal),* $(,)?) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() -> Result<()> {
            cut_at($point).await
        }
    )*};
}

cut_at! {
    after_received: "after-received",
    after_inbox: "after-inbox",
    after_commit: "after-commit",
    after_publish: "after-publish",
    after_confirm: "after-confirm",
    before_ack: "before-ack",
}
