//! Runs the Python program of `producer/README.md` as it is written there, with the minimal rights.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use lockstep_protocol::topology::access::Role;

use crate::system::access::user_of;
use crate::system::load::outgoing;
use crate::system::{Expected, Ground, Load, Scene};

/// The first Python block of a page.
fn program(page: &str) -> Result<&str> {
    let (_, rest) = page
        .split_once("```python\n")
        .context("no Python in the README")?;
    Ok(rest.split_once("```").context("a code block without end")?.0)
}

/// The packages in its `pip install` line.
fn packages(page: &str) -> Result<Vec<&str>> {
    let (_, rest) = page
        .split_once("`pip install ")
        .context("no pip install in the README")?;
    Ok(rest
        .split_once('`')
        .context("a line without its end")?
        .0
        .split(' ')
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn pika_and_the_cloudevents_sdk_publish_an_event_and_read_its_result() -> Result<()> {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("producer/README.md"))?;
    let python = lockstep_testbed::python_with(Path::new(env!("CARGO_TARGET_TMPDIR")), &packages(&page)?)?;
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[])?;
    let bus = scene.bus().await?;
    let fleet = Load {
        devices: 1,
        events: 0,
    }
    .fleet();
    bus.publish(vec![outgoing(&fleet)]).await?;
    scene
        .oracle()
        .processed(&[(fleet.identity, Expected::Applied { flags: None })].into())
        .await?;

    let user = user_of(&scene.servers()?.vhost, Role::Producer).await?;

    let script = scene.folder().join("flag_device.py");
    std::fs::write(&script, program(&page)?)?;
    let mut command = Command::new(python);
    command
        .arg(script)
        .arg("sw0")
        .env("LOCKSTEP_BROKER_URL", &user.url);
    let output = tokio::task::spawn_blocking(move || command.output()).await??;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{printed}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(printed.starts_with("lockstep.event.applied "), "{printed}");
    ensure!(
        printed.contains("'flipped': 1") && printed.contains("'sw0'"),
        "{printed}"
    );
    worker.stop().await
}
