//! What processes log: readable lines of Lockstep only, and no warning without a reason.

use anyhow::{Context, Result, ensure};
use lockstep_protocol::{Code, Kind};

use crate::system::load::{hostname, outgoing, raw, update};
use crate::system::{Ground, Load, Scene};

const LOAD: Load = Load {
    devices: 3,
    events: 20,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_stopped_logs_no_error_and_no_warning() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    let worker = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    let log = worker.stop_and_log().await?;
    ensure!(log.contains("worker stopped"), "{log}");
    ensure!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    for line in log.lines() {
        let target = line.split_whitespace().nth(2).unwrap_or_default();
        ensure!(target.starts_with("lockstep"), "a line of a library: {line}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn libraries_log_for_debugging_only() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let worker = scene.worker(&[("LOCKSTEP__LOG__FILTER", "info,lapin=debug,io_loop=debug")])?;
    worker.prints("worker started").await?;
    let log = worker.stop_and_log().await?;
    ensure!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_is_logged_with_its_code_and_reason() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let unknown = update(&hostname(7));
    let unreadable = raw(Kind::InterfaceUpdated, "unreadable", "{");
    bus.publish(vec![outgoing(&unknown), unreadable]).await?;
    let worker = scene.worker(&[])?;
    worker.prints_times("message dead-lettered", 2).await?;
    let log = worker.stop_and_log().await?;
    let lines = log.lines().filter(|line| line.contains("message dead-lettered"));
    for line in lines {
        ensure!(line.contains(" code=") && line.contains(" reason="), "{line}");
        ensure!(
            !line.contains("MessageRejected") && !line.contains("Some("),
            "{line}"
        );
    }
    ensure!(
        log.contains(&format!("code=\"{}\"", Code::UnknownDevice)),
        "{log}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verbose_client_prints_its_requests() -> Result<()> {
    let scene = Scene::new(Ground::Embedded).await?;
    let up = scene.worker(&[])?;
    up.prints("lockstep devices import").await?;
    for (arguments, expected) in [
        (["devices", "list", "-v"].as_slice(), true),
        (&["devices", "list"], false),
    ] {
        let mut client = scene.run(arguments, &[])?;
        let status = client.ended().await?;
        let log = client.log()?;
        ensure!(status.success(), "{log}");
        let line = log.lines().find(|line| line.contains("request answered"));
        ensure!(line.is_some() == expected, "{arguments:?}: {log}");
        if expected {
            let line = line.context("no request")?;
            for part in ["method=GET", "/v1/devices", "status=200", "duration_ms="] {
                ensure!(line.contains(part), "{line}");
            }
        }
    }
    up.stop().await
}
