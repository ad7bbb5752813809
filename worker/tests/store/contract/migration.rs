use anyhow::{Result, ensure};
use futures_util::future::try_join_all;
use lockstep_worker::store::{DeviceQuery, Keys, StoreError};

use super::{Place, hostname, message};

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
    ensure!(applied == ["V1__fleet_and_inbox"], "{applied:?}");
    ensure!(migrated.iter().all(|migrated| migrated.version == 1));
    place.store.ping().await?;
    Ok(())
}
