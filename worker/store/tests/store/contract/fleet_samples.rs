use std::time::Duration;

use anyhow::{Result, ensure};
use lockstep_protocol::{DeviceState, DeviceType};
use lockstep_store::{Attributes, DeviceEffect, Records, SampleInterval};

use super::{Place, create_all, devices, hostname, keys, unsynchronize, work};

const YEAR: u32 = 365 * 24 * 3600;

/// The numbers of synchronized and unsynchronized devices of each sample.
async fn samples(place: &Place, interval: SampleInterval, seconds: u32) -> Result<Vec<(u64, u64)>> {
    let found = place.other.fleet_samples(interval, seconds).await?;
    let ordered = found.samples.is_sorted_by_key(|sample| sample.at);
    let past = found.samples.iter().all(|sample| sample.at <= found.now);
    ensure!(ordered && past, "{found:?}");
    let samples = found.samples.iter();
    Ok(samples
        .map(|sample| (sample.synchronized, sample.unsynchronized))
        .collect())
}

/// Moves all samples into the past.
async fn age(place: &Place, minutes: i64) -> Result<()> {
    let earlier = place.probe.earlier("at", minutes);
    place
        .probe
        .texts(&format!("UPDATE fleet_sample SET at = {earlier}"))
        .await?;
    Ok(())
}

pub(crate) async fn a_sample_counts_managed_devices_once_in_a_minute(place: &Place) -> Result<()> {
    create_all(place, &["a", "b", "c"]).await?;
    let spare = DeviceEffect::Create {
        hostname: hostname("d"),
        attributes: Attributes::of(DeviceType::CORE),
        state: DeviceState::Unmanaged,
        version: None,
    };
    work(place, &keys("spare", ["d"]), devices([spare])).await?;
    let synchronize = DeviceEffect::Synchronize {
        hostname: hostname("a"),
    };
    work(place, &keys("synchronize", ["a"]), devices([synchronize])).await?;
    for name in ["b", "c"] {
        work(place, &keys(name, [name]), devices([unsynchronize(name)])).await?;
    }
    ensure!(place.store.sample_fleet().await?, "the first one");
    // At most two minutes are touched.
    let taken = [
        place.other.sample_fleet().await?,
        place.store.sample_fleet().await?,
    ];
    ensure!(taken != [true, true], "{taken:?}");
    let minutes = samples(place, SampleInterval::Minute, 3600).await?;
    ensure!(
        minutes.len() <= 2 && minutes.iter().all(|sample| *sample == (1, 2)),
        "{minutes:?}"
    );
    // The sample of an hour is its first one.
    age(place, 120).await?;
    work(place, &keys("again", ["a"]), devices([unsynchronize("a")])).await?;
    ensure!(place.store.sample_fleet().await?, "of a later hour");
    let hours = samples(place, SampleInterval::Hour, 5 * 3600).await?;
    ensure!(
        hours.first() == Some(&(1, 2)) && hours.last() == Some(&(0, 3)),
        "{hours:?}"
    );
    let last = samples(place, SampleInterval::Minute, 1800).await?;
    ensure!(last.iter().all(|sample| *sample == (0, 3)), "{last:?}");
    Ok(())
}

pub(crate) async fn minutes_and_hours_expire_apart(place: &Place) -> Result<()> {
    // Afterwards they are 110, 60 and 20 hours old.
    for hours in [50, 40, 20] {
        place.store.sample_fleet().await?;
        age(place, hours * 60).await?;
    }
    let before = place.store.now().await? - Duration::from_hours(36);
    let minutes = Records::FleetSamples(SampleInterval::Minute);
    let first = place.store.expire(&minutes, before, 0, 1).await?;
    ensure!((first.deleted, first.next) == (1, Some(0)), "{first:?}");
    let rest = place.store.expire(&minutes, before, 0, 10).await?;
    ensure!((rest.deleted, rest.next) == (1, None), "{rest:?}");
    ensure!(samples(place, SampleInterval::Minute, YEAR).await?.len() == 1);
    ensure!(samples(place, SampleInterval::Hour, YEAR).await?.len() == 3);
    let hours = Records::FleetSamples(SampleInterval::Hour);
    ensure!(place.store.expire(&hours, before, 0, 10).await?.deleted == 2);
    ensure!(samples(place, SampleInterval::Hour, YEAR).await?.len() == 1);
    Ok(())
}
