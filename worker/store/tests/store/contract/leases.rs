use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lockstep_store::Lease;

use super::Place;

pub(crate) const LONG: Duration = Duration::from_hours(1);

/// A lease that expires at once.
pub(crate) const NO_TIME: Duration = Duration::ZERO;

const NAME: &str = "repository/settings";

pub(crate) async fn acquire(place: &Place, time: Duration) -> Result<Lease> {
    place
        .store
        .acquire(NAME, time)
        .await?
        .context("another owner has the lease")
}

pub(crate) async fn a_lease_is_for_one_until_it_is_released(place: &Place) -> Result<()> {
    let first = acquire(place, LONG).await?;
    ensure!(first.name == NAME && first.fence == 1, "{first:?}");
    ensure!(place.other.acquire(NAME, LONG).await?.is_none());
    ensure!(
        place.store.acquire(NAME, LONG).await?.is_none(),
        "its holder cannot acquire it again"
    );
    let another = place.other.acquire("repository/templates", LONG).await?;
    ensure!(another.is_some(), "leases with other names are independent");

    place.store.release(&first).await?;
    let second = place.other.acquire(NAME, LONG).await?.context("it is free")?;
    ensure!(second.fence == 2 && second.owner != first.owner, "{second:?}");
    Ok(())
}

pub(crate) async fn an_expired_lease_cannot_be_used_by_its_holder(place: &Place) -> Result<()> {
    let late = acquire(place, NO_TIME).await?;
    ensure!(
        !place.store.renew(&late, LONG).await?,
        "an expired lease cannot be renewed, even if it is free"
    );
    let next = place.other.acquire(NAME, LONG).await?.context("it ran out")?;
    ensure!(next.fence == late.fence + 1);
    ensure!(!place.store.renew(&late, LONG).await?);
    place.store.release(&late).await?;
    ensure!(
        place.store.acquire(NAME, LONG).await?.is_none(),
        "the late holder released the lease of the next one"
    );
    ensure!(place.other.renew(&next, LONG).await?);

    // The right fence with a wrong owner, and the right owner with a wrong fence.
    for forged in [
        Lease {
            owner: late.owner,
            ..next.clone()
        },
        Lease {
            fence: late.fence,
            ..next.clone()
        },
    ] {
        ensure!(!place.store.renew(&forged, LONG).await?, "{forged:?}");
        place.store.release(&forged).await?;
    }
    ensure!(place.other.renew(&next, LONG).await?);
    Ok(())
}

pub(crate) async fn a_renewal_counts_from_now(place: &Place) -> Result<()> {
    let lease = acquire(place, Duration::from_mins(1)).await?;
    let until = async || place.probe.texts("SELECT CAST(until AS text) FROM lease").await;
    let before = until().await?;
    ensure!(place.other.renew(&lease, LONG).await?);
    ensure!(until().await? > before);
    ensure!(place.other.acquire(NAME, LONG).await?.is_none());
    ensure!(
        place.store.renew(&lease, NO_TIME).await?,
        "the lease was held during the renewal"
    );
    let next = place
        .other
        .acquire(NAME, LONG)
        .await?
        .context("the lease has not expired")?;
    ensure!(next.fence == lease.fence + 1);
    Ok(())
}

/// Whether it was released or has expired, one of sixteen acquires it, and the fence counts the acquisitions.
pub(crate) async fn one_of_sixteen_acquires_it(place: &Place) -> Result<()> {
    for round in 1..=10 {
        let tries = (0..16).map(|n| {
            let store = if n % 2 == 0 { &place.store } else { &place.other };
            store.acquire(NAME, LONG)
        });
        let got: Vec<Lease> = try_join_all(tries).await?.into_iter().flatten().collect();
        let [lease] = &got[..] else {
            anyhow::bail!("round {round}: {got:?}")
        };
        ensure!(lease.fence == round, "round {round}: {lease:?}");
        if round % 2 == 0 {
            place.store.release(lease).await?;
        } else {
            ensure!(place.store.renew(lease, NO_TIME).await?);
        }
    }
    Ok(())
}
