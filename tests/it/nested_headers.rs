//! A message whose headers are nested as deeply as a frame allows stops no worker.

use anyhow::{Result, ensure};

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 4,
    events: 100,
};

/// The AMQP client reads nested headers by recursion. Two thousand levels overflow a stack of 2 MiB in a release build, a thousand in a
/// build of the tests. A frame of 128 KiB has at most 26,000.
#[tokio::test]
async fn deeply_nested_headers_stop_no_worker() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let vhost = &scene.servers()?.vhost;
    vhost
        .publish_nested("lockstep.events", "lockstep.interface.updated", 5000)
        .await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    bus.close().await;
    let worker = scene.worker(&[])?;
    let oracle = scene.oracle();
    oracle.processed(&sent).await?;
    let log = worker.log()?;
    ensure!(!log.contains("overflow"), "{log}");
    worker.stop().await
}
