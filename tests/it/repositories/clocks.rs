//! Workers with wall clocks two hours apart: leases run on the database's clock.

use anyhow::{Result, ensure};

use super::{Site, push};
use crate::system::clock::wrong_by;
use crate::system::{Ground, LeaseLog};

#[tokio::test(flavor = "multi_thread")]
async fn two_hours_apart_flag_once_a_push() -> Result<()> {
    let (site, right) = Site::accepted(Ground::Servers).await?;
    right.stop().await?;
    let leases = LeaseLog::install(&site.scene.servers()?.schema).await?;
    let early = site.worker(&wrong_by("+3600"))?;
    let late = site.worker(&[&wrong_by("-3600")[..], &[("LOCKSTEP__DATA_DIR", "second-data")]].concat())?;
    early.prints("worker started").await?;
    late.prints("worker started").await?;
    for number in 1..=8 {
        site.settings
            .write("access/x.txt", format!("{number}").as_bytes())?;
        let tip = site.settings.commit("access")?;
        // Both try to acquire the lease at the same time.
        let messages = [push(&tip)?, push(&tip)?];
        site.publish(&messages).await?;
        for message in &messages {
            site.outcome(message).await?;
        }
        site.ensure_flags(&[("access1", number), ("access2", number)])
            .await?;
    }
    ensure!(leases.acquisitions().await? >= 8, "too few leases were acquired");
    early.stop().await?;
    late.stop().await?;
    leases.check().await
}
