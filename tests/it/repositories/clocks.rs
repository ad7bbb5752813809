//! Workers with wrong wall clocks: leases run on the database's clock, and what refreshes write is its time.

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

/// Else nobody would be alerted for a day that a device is not synchronized.
#[tokio::test(flavor = "multi_thread")]
async fn a_day_ahead_or_behind_no_time_of_a_worker_is_stored() -> Result<()> {
    let (site, right) = Site::accepted(Ground::Servers).await?;
    right.stop().await?;
    let client = site.scene.servers()?.schema.connect().await?;
    let wrong = "SELECT count(*) FROM (\
         SELECT unsynchronized_since AS at FROM device WHERE unsynchronized_since IS NOT NULL \
         UNION ALL SELECT seen_at FROM repository UNION ALL SELECT accepted_at FROM repository \
         UNION ALL SELECT at FROM inbox UNION ALL SELECT at FROM cause \
         UNION ALL SELECT first_at FROM dead_letter UNION ALL SELECT dead_lettered_at FROM dead_letter) AS times \
         WHERE at > now() OR at < now() - interval '1 hour'";
    for (number, seconds) in ["+86400", "-86400"].into_iter().enumerate() {
        let worker = site.worker(&wrong_by(seconds))?;
        site.settings
            .write("access/x.txt", format!("{number}").as_bytes())?;
        let message = push(&site.settings.commit("access")?)?;
        site.publish(std::slice::from_ref(&message)).await?;
        site.outcome(&message).await?;
        let flags = i64::try_from(number)? + 1;
        site.ensure_flags(&[("access1", flags), ("access2", flags)])
            .await?;
        worker.stop().await?;
        let row = client.query_one(wrong, &[]).await?;
        let wrong: i64 = row.get(0);
        ensure!(wrong == 0, "{wrong} times are those of a worker {seconds} s off");
    }
    Ok(())
}
