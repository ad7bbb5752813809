use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::future::try_join_all;
use lockstep_store::Lease;

use super::Place;

pub(crate) const LONG: Duration = Duration::from_hours(1);

/// Runs out as soon as it is there.
pub(crate) const NO_TIME: Duration = Duration::ZERO;

const NAME: &str = "repository/settings";

pub(crate) async fn acquire(place: &Place, time: Duration) -> Result<Lease> {
    place
        .store
        .acquire(NAME, time)
        .await?
        .context("somebody has the lease")
}

pub(crate) async fn a_lease_is_for_one_until_it_is_released(place: &Place) -> Result<()> {
    let first = acquire(place, LONG).await?;
    ensure!(first.name == NAME && first.fence == 1, "{first:?}");
    ensure!(place.other.acquire(NAME, LONG).await?.is_none());
    ensure!(
        place.store.acquire(NAME, LONG).await?.is_none(),
        "not even whoever has it"
    );
    let another = place.other.acquire("repository/templates", LONG).await?;
    ensure!(another.is_some(), "names do not wait for one another");

    place.store.release(&first).await?;
    let second = place.other.acquire(NAME, LONG).await?.context("it is free")?;
    ensure!(second.fence == 2 && second.owner != first.owner, "{second:?}");
    Ok(())
}

pub(crate) async fn an_expired_lease_cannot_be_used_by_its_holder(place: &Place) -> Result<()> {
    let late = acquire(place, NO_TIME).await?;
    ensure!(
        !place.store.renew(&late, LONG).await?,
        "it ran out, though nobody took it since"
    );
    let next = place.other.acquire(NAME, LONG).await?.context("it ran out")?;
    ensure!(next.fence == late.fence + 1);
    ensure!(!place.store.renew(&late, LONG).await?);
    place.store.release(&late).await?;
    ensure!(
        place.store.acquire(NAME, LONG).await?.is_none(),
        "the late holder gave back what is not its own"
    );
    ensure!(place.other.renew(&next, LONG).await?);

    // The fence is right, the owner is not; and the other way round.
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
        "it was held when it was renewed"
    );
    let next = place
        .other
        .acquire(NAME, LONG)
        .await?
        .context("no time was left")?;
    ensure!(next.fence == lease.fence + 1);
    Ok(())
}

/// However it became free, one of sixteen gets it, and the fence says how many did so far.
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
