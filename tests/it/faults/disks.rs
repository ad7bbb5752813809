//! A disk gets full under load, and space is freed later.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::Envelope;
use lockstep_testbed::{Database, Disk};
use serde_json::Value;

use crate::system::http::Server;
use crate::system::load::{flags, hostname, update};
use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 6000,
};

/// Mounts a disk; prints the reason where this machine cannot, and the test is skipped.
fn disk(path: &Path, megabytes: u32) -> Option<Disk> {
    let mounted = Disk::mount(path, megabytes);
    mounted
        .inspect_err(|error| eprintln!("skipped: no disk can be mounted here ({error:#})"))
        .ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn private_the_disk_of_the_database_is_full() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = disk(folder.path(), 200) else {
        return Ok(());
    };
    let mut database = Database::start_on(&disk).await?;
    let scene = Scene::on(lockstep_testbed::vhost().await?, database.schema().await?).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed_at_least(500).await?;
    disk.fill()?;
    worker.prints("the store is unavailable").await?;
    disk.free()?;
    // If the write-ahead log had no space, the database stopped itself.
    if database.has_ended() {
        database.restart().await?;
    }
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_of_the_embedded_bus_and_store_is_full() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let Some(disk) = disk(&scene.folder().join("lockstep-data"), 64) else {
        return Ok(());
    };
    // The new disk hides the previous content of the folder.
    scene.run(&["migrate"], &[])?.ended().await?;
    let bus = scene.bus().await?;
    let mut sent = LOAD.publish(&*bus).await?;
    bus.close().await;
    let worker = scene.worker(&[])?;
    scene.oracle().processed_at_least(500).await?;
    disk.fill()?;
    worker.prints("disk is full").await?;
    // A message that cannot be stored is not accepted.
    let event = update(&hostname(0));
    let (status, said) = post(&scene, &event).await?;
    ensure!(status == 503, "{status} {said}");
    disk.free()?;
    let (status, said) = post(&scene, &event).await?;
    ensure!(status == 202, "{status} {said}");
    sent.insert(event.identity.clone(), flags(&event));
    scene.oracle().processed(&sent).await?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    scene.oracle().check(&sent, &*bus).await
}

/// Publishes an event over HTTP, as an operator on this machine does.
async fn post(scene: &Scene, event: &Envelope) -> Result<(u16, Value)> {
    let address_file = std::fs::read(scene.folder().join("lockstep-data/console.json"))?;
    let address_file: Value = serde_json::from_slice(&address_file)?;
    let text = |key: &str| {
        address_file[key]
            .as_str()
            .map(str::to_owned)
            .context("no address")
    };
    let headers = format!(
        "authorization: Bearer {}\r\ncontent-type: application/cloudevents+json\r\n",
        text("token")?
    );
    let body = String::from_utf8(event.encode())?;
    Server(text("url")?)
        .ask("POST", "/v1/events", &headers, &body)
        .await
}
