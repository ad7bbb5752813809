//! A worker is stopped beyond its lease in any step of a repository sync, and resumed: the sync of the other worker counts,
//! and its own sync commits nothing.

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use rustix::process::Signal;

use super::{Site, refresh};
use crate::system::{Ground, LeaseLog};

/// Each fail point, and at which pass the worker stops there.
const POINTS: [(&str, usize); 8] = [
    ("after-received", 2),
    ("after-inbox", 2),
    ("after-lease", 1),
    ("before-change", 1),
    ("after-commit", 2),
    ("after-publish", 2),
    ("after-confirm", 2),
    ("before-ack", 2),
];

async fn stopped_at(point: &str, time: usize) -> Result<()> {
    let site = Site::new(Ground::Servers).await?;
    let leases = LeaseLog::install(&site.scene.servers()?.schema).await?;
    // Its locks are released after three seconds instead of thirty.
    let store = site
        .scene
        .store_url("-c idle_in_transaction_session_timeout=3s")?;
    let messages = [refresh("settings"), refresh("templates")];
    site.publish(&messages).await?;
    let mut first = site.worker(&[
        ("LOCKSTEP_FAIL_POINT", &format!("{point}:{time}:stop")),
        ("LOCKSTEP__STORE__URL", &store),
    ])?;
    first.stopped().await?;

    let second = site.worker(&[("LOCKSTEP__DATA_DIR", "second-data")])?;
    second.prints("worker started").await?;
    for message in &messages {
        let outcome = site.outcome(message).await?;
        ensure!(outcome["outcome"] == "applied", "{outcome}");
    }
    let expected = [("access1", 2), ("access2", 1), ("core1", 1), ("dist1", 1)];
    site.ensure_flags(&expected).await?;
    first.signal(Signal::CONT)?;
    // It finishes its messages in flight before it ends.
    first.stop().await?;
    site.ensure_flags(&expected).await?;
    second.stop().await?;
    leases.check().await
}

/// Concurrent, because they mostly wait for a lease to run out.
#[tokio::test(flavor = "multi_thread")]
async fn past_the_lease_and_resumed_in_every_step() -> Result<()> {
    let stops = POINTS.map(async |(point, time)| stopped_at(point, time).await.context(point));
    try_join_all(stops).await?;
    Ok(())
}
