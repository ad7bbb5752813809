use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use jiff::SignedDuration;
use lockstep_worker::clock::{Clock, SystemClock};
use lockstep_worker::store::{Changed, DeviceQuery, Keys, StoreError};

use super::leases::{LONG, acquire};
use super::repositories::{look, settings};
use super::{Place, create_all, devices, hostname, keys, message, unsynchronize, work};

fn tells<T>(answer: &Result<T, StoreError>) -> bool {
    matches!(
        answer,
        Err(StoreError::SchemaVersion {
            found: 0,
            needed: 1..
        })
    )
}

pub(crate) async fn a_store_without_schema_says_so(place: &Place) -> Result<()> {
    place.store.ping().await?;
    place.probe.texts("DROP TABLE refinery_schema_history").await?;
    ensure!(tells(&place.store.ping().await));
    // It has no session yet.
    let fresh = &place.other;
    ensure!(tells(&fresh.ping().await));
    ensure!(tells(&fresh.begin(&Keys::default()).await));
    ensure!(tells(&fresh.outcome(&message("1")).await));
    ensure!(tells(&fresh.device(&hostname("sw1")).await));
    let any = DeviceQuery {
        limit: 1,
        ..DeviceQuery::default()
    };
    ensure!(tells(&fresh.devices(&any).await));
    ensure!(tells(&fresh.acquire("repository/settings", LONG).await));
    ensure!(tells(&fresh.repositories().await));
    ensure!(tells(&fresh.listing(&settings()).await));
    Ok(())
}

/// The servers of tests run here.
pub(crate) async fn the_clock_is_that_of_this_machine(place: &Place) -> Result<()> {
    let before = SystemClock.now();
    let theirs = place.store.now().await?;
    let after = SystemClock.now();
    // SQLite counts milliseconds.
    let slack = SignedDuration::from_millis(1);
    ensure!(
        before - slack <= theirs && theirs <= after + slack,
        "{before} {theirs} {after}"
    );
    Ok(())
}

pub(crate) async fn eight_migrations_at_once_apply_once(place: &Place) -> Result<()> {
    for table in [
        "group_member",
        "linknet",
        "client",
        "interface",
        "device_group",
        "device",
        "cause",
        "inbox",
        "lease",
        "repository",
    ] {
        place.probe.texts(&format!("DROP TABLE {table}")).await?;
    }
    place.probe.texts("DROP TABLE refinery_schema_history").await?;
    place
        .probe
        .texts("DROP SEQUENCE IF EXISTS cause_block")
        .await
        .ok();
    let stores = (0..8).map(|n| if n % 2 == 0 { &place.store } else { &place.other });
    let migrated = try_join_all(stores.map(|store| store.migrate())).await?;
    let applied: Vec<&String> = migrated.iter().flat_map(|migrated| &migrated.applied).collect();
    ensure!(
        applied == ["V1__fleet_and_inbox", "V2__repositories"],
        "{applied:?}"
    );
    ensure!(migrated.iter().all(|migrated| migrated.version == 2));
    place.store.ping().await?;
    Ok(())
}

/// As before a store was made by the second version, with a fleet and messages in it.
pub(crate) async fn the_second_version_keeps_what_the_first_one_had(place: &Place) -> Result<()> {
    create_all(place, &["sw1", "sw2"]).await?;
    work(place, &keys("2", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    let before = (
        place.store.devices(&all()).await?,
        place.store.outcome(&message("2")).await?,
    );
    for undo in [
        "DROP TABLE lease",
        "DROP TABLE repository",
        "DELETE FROM refinery_schema_history WHERE version = 2",
    ] {
        place.probe.texts(undo).await?;
    }
    let old = place.other.ping().await;
    ensure!(
        matches!(old, Err(StoreError::SchemaVersion { found: 1, needed: 2 })),
        "{old:?}"
    );
    let migrated = place.other.migrate().await?;
    ensure!(
        migrated.applied == ["V2__repositories"] && migrated.version == 2,
        "{migrated:?}"
    );
    let after = (
        place.other.devices(&all()).await?,
        place.other.outcome(&message("2")).await?,
    );
    ensure!(after == before, "{after:?}");
    let lease = acquire(place, LONG).await?;
    ensure!(place.store.change(&look(&lease, 0)).await? == Changed::Committed);
    work(place, &keys("3", ["sw1"]), devices([unsynchronize("sw1")])).await?;
    Ok(())
}

fn all() -> DeviceQuery {
    DeviceQuery {
        limit: 100,
        ..DeviceQuery::default()
    }
}
