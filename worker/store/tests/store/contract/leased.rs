//! Leases in the unit of work.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_store::Keys;

use super::leases::{LONG, NO_TIME};
use super::repositories::{Changed, change, fetched};
use super::{Place, absorb, create_all, devices, key, keys, unsynchronize};

pub(crate) async fn a_lost_lease_leaves_out_its_part_only(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let held = place.store.acquire("device/sw1", LONG).await?.context("free")?;
    let lost = place
        .store
        .acquire("device/sw2", NO_TIME)
        .await?
        .context("free")?;
    let leases = [lost.clone(), held.clone()];
    let (mut facts, transaction) = place.store.begin(&leases, &keys("run", ["sw1", "sw2"])).await?;
    ensure!(facts.holds(&held) && !facts.holds(&lost));
    absorb(&mut facts, "run", devices([unsynchronize("sw1")]));
    transaction.commit(&facts).await?;
    ensure!(place.other.outcome(&key("run")).await?.is_some());
    Ok(())
}

pub(crate) async fn a_lease_is_released_with_the_commit_and_not_without_it(place: &Place) -> Result<()> {
    const NAME: &str = "repository/settings";
    let lease = place.store.acquire(NAME, LONG).await?.context("free")?;
    let leases = std::slice::from_ref(&lease);
    let (mut facts, transaction) = place.store.begin(leases, &Keys::default()).await?;
    facts.release(lease.clone());
    drop(transaction);
    ensure!(
        place.other.acquire(NAME, LONG).await?.is_none(),
        "it was rolled back"
    );

    // A commit that releases nothing keeps it.
    ensure!(change(&*place.store, &fetched(&lease, 0)).await? == Changed::Committed);
    ensure!(place.store.renew(&lease, Duration::from_hours(2)).await?);

    let (mut facts, transaction) = place.store.begin(leases, &Keys::default()).await?;
    facts.release(lease.clone());
    transaction.commit(&facts).await?;
    let next = place
        .other
        .acquire(NAME, LONG)
        .await?
        .context("it was released")?;
    ensure!(next.fence == lease.fence + 1);
    ensure!(change(&*place.store, &fetched(&lease, 1)).await? == Changed::LeaseLost);
    Ok(())
}
