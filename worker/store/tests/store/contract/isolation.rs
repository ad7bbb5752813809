use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lockstep_store::{DeviceQuery, Keys};
use lockstep_testbed::wait;
use tokio::time::timeout;

use super::{Place, absorb, create_all, devices, hostname, key, keys, unsynchronize, work};

/// Long enough for calls that do not wait, short for calls that do.
const MOMENT: Duration = Duration::from_millis(200);

pub(crate) async fn a_dropped_transaction_changes_nothing_and_frees_its_locks(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let (mut facts, transaction) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    absorb(&mut facts, "2", devices([unsynchronize("sw1")]));
    drop(transaction);
    // It succeeds within the lock timeout: the device is not locked.
    work(place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 2);
    ensure!(place.store.outcome(&key("2")).await?.is_none());
    Ok(())
}

pub(crate) async fn a_cancelled_beginning_leaves_nothing_locked(place: &Place) -> Result<()> {
    create_all(place, &["sw1"]).await?;
    let (_, first) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    for id in ["3", "4", "5"] {
        let waits = timeout(MOMENT, place.store.begin(&[], &keys(id, ["sw1"]))).await;
        ensure!(waits.is_err(), "{id} began beside another batch");
    }
    drop(first);
    wait::until("the device to be free", Duration::from_secs(20), async || {
        work(place, &keys("6", ["sw1"]), devices([unsynchronize("sw1")])).await
    })
    .await?;
    let device = place.store.device(&hostname("sw1")).await?.context("sw1")?;
    ensure!(device.sync.desired == 2);
    Ok(())
}

pub(crate) async fn a_second_batch_about_a_device_waits_for_the_first(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let (mut facts, first) = place.store.begin(&[], &keys("2", ["sw1"])).await?;
    let asked = keys("2", ["sw1", "sw2"]);
    let mut second = place.other.begin(&[], &asked);
    ensure!(timeout(MOMENT, &mut second).await.is_err(), "it did not wait");
    absorb(&mut facts, "2", devices([unsynchronize("sw1")]));
    first.commit(&facts).await?;
    let (facts, _second) = second.await?;
    let device = facts.device(&hostname("sw1")).context("sw1")?;
    ensure!(device.sync.desired == 2, "it sees the first batch");
    ensure!(
        facts.message(&key("2")).is_some(),
        "it sees the message of the first batch"
    );
    Ok(())
}

/// Eight tasks flag ten of forty devices in each batch. The only allowed error is a request to repeat.
pub(crate) async fn batches_that_overlap_at_random_add_up(place: &Place) -> Result<()> {
    const TASKS: usize = 8;
    const BATCHES: usize = 25;
    const DEVICES: usize = 10;
    let names: Vec<String> = (0..40).map(|n| format!("sw{n}")).collect();
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;

    let task = async |task: usize| -> Result<()> {
        for batch in 0..BATCHES {
            let id = format!("{task}.{batch}");
            let predicate: BTreeSet<&str> = rand::seq::index::sample(&mut rand::rng(), names.len(), DEVICES)
                .into_iter()
                .map(|index| names[index].as_str())
                .collect();
            let asked = keys(&id, predicate.iter().copied());
            let store = if task.is_multiple_of(2) {
                &place.store
            } else {
                &place.other
            };
            loop {
                let processed = async {
                    let (mut facts, transaction) = store.begin(&[], &asked).await?;
                    absorb(
                        &mut facts,
                        &id,
                        devices(predicate.iter().map(|name| unsynchronize(name))),
                    );
                    transaction.commit(&facts).await
                };
                match processed.await {
                    Ok(()) => break,
                    Err(error) => ensure!(error.is_conflict(), "{error:?}"),
                }
            }
        }
        Ok(())
    };
    futures_util::future::try_join_all((0..TASKS).map(task)).await?;

    let all = DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    };
    let raised: i64 = place
        .store
        .devices(&all)
        .await?
        .iter()
        .map(|device| device.sync.desired - 1)
        .sum();
    ensure!(usize::try_from(raised)? == TASKS * BATCHES * DEVICES, "{raised}");
    ensure!(place.probe.texts("SELECT id FROM inbox").await?.len() == TASKS * BATCHES + 1);
    let (facts, _transaction) = place.store.begin(&[], &Keys::default()).await?;
    ensure!(facts.devices().count() == 0);
    Ok(())
}
