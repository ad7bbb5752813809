//! SIGTERM under load: messages in flight are finished, the others stay in their queue.

use anyhow::{Result, ensure};

use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 6000,
};

async fn in_the_middle_of_the_load(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    bus.close().await;
    let first = scene.worker(&[])?;
    scene.oracle().processed_at_least(300).await?;
    first.stop().await?;
    let before = scene.oracle().records.processed().await?;
    ensure!(
        usize::try_from(before)? < sent.len(),
        "all messages were processed before the stop"
    );

    let second = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    second.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_the_load_on_servers() -> Result<()> {
    in_the_middle_of_the_load(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_middle_of_the_load_embedded() -> Result<()> {
    in_the_middle_of_the_load(Ground::Embedded).await
}
