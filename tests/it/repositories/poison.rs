//! A message that kills its worker while that holds the lease of a repository, and workers that restart at once: it is postponed
//! between its attempts, and dead-lettered after five of them.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Result, ensure};
use lockstep_protocol::Identity;

use super::{Site, refresh};
use crate::system::Ground;

async fn is_processed(site: &Site, identity: &Identity) -> Result<()> {
    site.record(identity).await.map(|_| ())
}

async fn dead_lettered_after_five_attempts(ground: Ground) -> Result<()> {
    let site = Site::new(ground).await?;
    let poison = refresh("settings").with_subject("poison");
    let innocent = refresh("templates");
    site.publish(&[poison.clone(), innocent.clone()]).await?;
    let mut kills = 0;
    loop {
        let mut worker = site.worker(&[("LOCKSTEP_POISON", "poison")])?;
        let status = tokio::select! {
            done = is_processed(&site, &poison.identity) => {
                done?;
                worker.stop().await?;
                break;
            }
            status = worker.ended() => status?,
        };
        ensure!(
            status.signal() == Some(9),
            "the worker ended with {status}: {}",
            worker.log()?
        );
        kills += 1;
        ensure!(kills <= 5, "the message still kills workers");
    }
    ensure!(kills == 5, "it was dead-lettered after {kills} attempts");
    let rejection = site.rejection(&poison).await?;
    ensure!(rejection["code"] == "crashed", "{rejection}");
    let result = site.outcome(&innocent).await?;
    ensure!(result["flipped"] == 1, "{result}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn on_servers() -> Result<()> {
    dead_lettered_after_five_attempts(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn embedded() -> Result<()> {
    dead_lettered_after_five_attempts(Ground::Embedded).await
}
