use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Result, ensure};
use futures_util::FutureExt;
use futures_util::future::try_join_all;
use lockstep_protocol::DeviceType;
use lockstep_store::{DeviceQuery, DeviceSelector, Effects};

use super::leases::{LONG, acquire};
use super::repositories::{flag, flags, named};
use super::{Place, absorb, create, create_all, devices, hostname, keys, unsynchronize};

const TASKS: usize = 4;
const BATCHES: usize = 25;
const DEVICES: usize = 10;
const ROUNDS: i64 = 15;

fn names() -> Vec<String> {
    (0..40).map(|n| format!("sw{n}")).collect()
}

fn some(names: &[String]) -> BTreeSet<&str> {
    let predicate = rand::seq::index::sample(&mut rand::rng(), names.len(), DEVICES);
    predicate.into_iter().map(|index| names[index].as_str()).collect()
}

/// Runs batches of events about random devices, some of them new, concurrently with changes to the whole fleet and to random
/// names. They wait for one another; none is rejected (that would be a deadlock), and all of them add up.
pub(crate) async fn changes_and_batches_at_once_never_deadlock_and_add_up(place: &Place) -> Result<()> {
    let names = names();
    create_all(place, &names.iter().map(String::as_str).collect::<Vec<_>>()).await?;
    let raised = AtomicU64::new(0);

    let batches = async |task: usize| -> Result<()> {
        for batch in 0..BATCHES {
            let id = format!("{task}.{batch}");
            let new = format!("new{id}");
            let predicate = some(&names);
            let asked = keys(&id, predicate.iter().copied().chain([new.as_str()]));
            let store = if task.is_multiple_of(2) {
                &place.store
            } else {
                &place.other
            };
            let (mut facts, transaction) = store.begin(&[], &asked).await?;
            let mut effects: Effects = devices(predicate.iter().map(|name| unsynchronize(name)));
            if batch % 5 == 0 {
                effects.devices.push(create(&new));
            }
            absorb(&mut facts, &id, effects);
            transaction.commit(&facts).await?;
            raised.fetch_add(DEVICES as u64, Ordering::Relaxed);
        }
        Ok(())
    };
    let changes = async |repository: &str, broad: bool| -> Result<()> {
        let lease = place.other.acquire(repository, LONG).await?;
        let lease = lease.expect("no other owner asks for it");
        for round in 0..ROUNDS {
            let selector = match round % 2 {
                _ if !broad => named(some(&names)),
                0 => DeviceSelector {
                    device_types: [DeviceType::ACCESS].into(),
                    ..DeviceSelector::default()
                },
                _ => DeviceSelector {
                    predicate: Some(std::sync::Arc::new(|_| true)),
                    ..DeviceSelector::default()
                },
            };
            let id = format!("{repository} {round}");
            let mut refresh = flags(&lease, round, &id, selector);
            refresh.change.name = repository.to_owned().try_into()?;
            let store = if round % 2 == 0 {
                &place.store
            } else {
                &place.other
            };
            let flagged = flag(&**store, refresh).await?;
            ensure!(flagged.unknown_hostnames.is_empty());
            raised.fetch_add(flagged.concerned, Ordering::Relaxed);
        }
        Ok(())
    };
    let works = (0..TASKS).map(|task| batches(task).boxed_local());
    let works = works.chain([
        changes("settings", true).boxed_local(),
        changes("templates", true).boxed_local(),
        changes("inventory", false).boxed_local(),
    ]);
    try_join_all(works).await?;

    let all = DeviceQuery {
        limit: 1000,
        ..DeviceQuery::default()
    };
    let found = place.store.devices(&all).await?;
    ensure!(found.len() == names.len() + TASKS * BATCHES / 5);
    let sum: i64 = found.iter().map(|device| device.sync.desired - 1).sum();
    let raised = raised.load(Ordering::Relaxed);
    ensure!(
        sum.unsigned_abs() == raised,
        "raised {raised} times, the sum of the generations is {sum}"
    );
    let messages = place.probe.texts("SELECT id FROM inbox").await?.len();
    ensure!(messages == 1 + TASKS * BATCHES + 3 * usize::try_from(ROUNDS)?);
    Ok(())
}

/// A change that waits for a device locked by a batch does not block readers, and commits after the batch.
pub(crate) async fn a_broad_change_waits_for_a_batch_and_sees_what_it_did(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    let lease = acquire(place, LONG).await?;
    let (mut facts, batch) = place.store.begin(&[], &keys("event", ["sw1", "sw3"])).await?;
    // A new session prepares its statements, for which PostgreSQL locks their tables. The batch holds one, so this is another, and
    // it is ready when the change waits for its lock.
    ensure!(place.store.device(&hostname("sw1")).await?.is_some());
    let all = DeviceSelector {
        device_types: [DeviceType::ACCESS].into(),
        hostnames: [hostname("sw3")].into(),
        ..DeviceSelector::default()
    };
    let change = flag(&*place.other, flags(&lease, 0, "push", all));
    let mut change = std::pin::pin!(change);
    let moment = std::time::Duration::from_millis(200);
    ensure!(
        tokio::time::timeout(moment, &mut change).await.is_err(),
        "it did not wait"
    );
    ensure!(place.store.device(&hostname("sw1")).await?.is_some());
    absorb(
        &mut facts,
        "event",
        devices([unsynchronize("sw1"), create("sw3")]),
    );
    batch.commit(&facts).await?;
    let flagged = change.await?;
    ensure!(
        flagged.concerned == 3 && flagged.flipped == 2,
        "sw1 was flagged before: {flagged:?}"
    );
    ensure!(flagged.unknown_hostnames.is_empty(), "the change saw sw3");
    Ok(())
}
