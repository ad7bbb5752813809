//! Health endpoints: a worker without its broker or its store is alive and not ready, and recovers by itself.

use anyhow::{Result, ensure};
use lockstep_testbed::{Mode, free_port, wait};

use super::{Shown, get};
use crate::system::{Ground, PATIENCE, Scene};

/// Waits until `/readyz` answers this.
async fn until_ready(listen: &str, status: u16, away: &str) -> Result<()> {
    wait::until("the readiness of the worker", PATIENCE, async || {
        match get(listen, "/readyz").await {
            Ok((said, body)) if said == status && body.contains(away) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await?;
    Ok(())
}

async fn alive(listen: &str) -> Result<()> {
    let (status, body) = get(listen, "/healthz").await?;
    ensure!(status == 200 && body.contains("alive"), "{status}: {body}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_broker_or_store_is_alive_and_not_ready() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let worker = scene.worker(&[("LOCKSTEP__WORKER__LISTEN", &listen)])?;
    until_ready(&listen, 200, "ready").await?;

    servers.to_broker.set(Mode::Refuse).await?;
    until_ready(&listen, 503, "broker").await?;
    alive(&listen).await?;
    Shown::of(&listen)
        .await?
        .expect(&[("lockstep_broker_connected", 0.0)])?;
    servers.to_broker.set(Mode::Pass).await?;
    until_ready(&listen, 200, "ready").await?;

    servers.to_database.set(Mode::Refuse).await?;
    until_ready(&listen, 503, "store").await?;
    alive(&listen).await?;
    wait::until("the store to be shown as unavailable", PATIENCE, async || {
        let shown = Shown::of(&listen).await.map_err(|error| format!("{error:#}"))?;
        shown
            .expect(&[("lockstep_store_up", 0.0)])
            .map_err(|error| error.to_string())
    })
    .await?;
    servers.to_database.set(Mode::Pass).await?;
    until_ready(&listen, 200, "ready").await?;
    worker.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_starts_before_its_broker_is_alive_meanwhile() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let servers = scene.servers()?;
    servers.to_broker.set(Mode::Refuse).await?;
    let listen = format!("127.0.0.1:{}", free_port()?);
    let environment = [
        ("LOCKSTEP__WORKER__LISTEN", listen.as_str()),
        ("LOCKSTEP__BROKER__DECLARE", "true"),
    ];
    // The declaration would fail, because the tests use shorter retry delays. The test ends before the worker declares.
    let worker = scene.worker(&environment)?;
    until_ready(&listen, 503, "broker").await?;
    alive(&listen).await?;
    worker.stop().await
}
