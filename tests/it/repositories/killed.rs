//! A worker is killed at any step of a repository sync: each flag is set once.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use lockstep_testbed::wait;

use super::{Site, refresh};
use crate::system::{Ground, PATIENCE};

/// Kills the worker at a fail point while it processes a push, and lets another worker finish.
async fn killed_at(ground: Ground, point: &str) -> Result<()> {
    let site = Site::new(ground).await?;
    let messages = [refresh("settings"), refresh("templates")];
    site.publish(&messages).await?;
    let mut first = site.worker(&[("LOCKSTEP_FAIL_POINT", &format!("{point}:2:kill"))])?;
    let status = first.ended().await?;
    ensure!(
        status.signal() == Some(9),
        "the worker ended with {status}: {}",
        first.log()?
    );
    let second = site.worker(&[])?;
    for message in &messages {
        let outcome = site.outcome(message).await?;
        ensure!(outcome["outcome"] == "applied", "{outcome}");
    }
    // Both messages may be processed before the second worker starts.
    wait::until("the second worker to start", PATIENCE, async || {
        let log = second.log().map_err(|error| format!("{error:#}"))?;
        if log.contains("worker started") {
            Ok(())
        } else {
            Err("not yet".to_owned())
        }
    })
    .await?;
    // The settings push concerns four devices, the templates push one of them.
    site.ensure_flags(&[("access1", 2), ("access2", 1), ("core1", 1), ("dist1", 1)])
        .await?;
    second.stop().await
}

killed_at! {
    killed_after_received: "after-received",
    killed_after_inbox: "after-inbox",
    killed_after_commit: "after-commit",
    killed_after_publish: "after-publish",
    killed_after_confirm: "after-confirm",
    killed_before_ack: "before-ack",
}
