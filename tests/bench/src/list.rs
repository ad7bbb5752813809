//! Measures the first page of a list of devices with its total, against a query for nothing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep_protocol::DeviceType;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{CauseId, DeviceQuery, Fleet, Schema};

use crate::rounds::{Side, alternate};
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

/// The rows of a page, and one more that shows whether there is a next page.
const PAGE: u32 = 101;

/// Every ten-thousandth device is not synchronized.
const FLAG: &str = "UPDATE device SET desired_generation = synced_generation + 1 WHERE id % 10000 = 0";

const FILL: &str = "\
    WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT ?1) \
    INSERT INTO device (hostname, device_type, platform, state, mac, serial) \
    SELECT printf('sw%06d.example.org', (number * 48271) % 1000003), 'ACCESS', 'eos', 'MANAGED', \
        printf('44:4c:a8:%02x:%02x:%02x', number / 65536, number / 256 % 256, number % 256), printf('serial%d', number) \
    FROM numbers";

/// Measures both engines.
///
/// # Errors
/// A database rejects a statement, or a page is not full.
pub(crate) async fn measure(host: &Host, devices: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(devices).await?;
    let client = scene.schema.connect().await?;
    client.batch_execute(FLAG).await?;
    client.batch_execute("VACUUM ANALYZE device").await?;
    let postgres = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    store("PostgreSQL", postgres, devices, rounds, table).await?;

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("store.db");
    let sqlite = SqliteStore::open(SqliteOptions::new(&path))?;
    sqlite.migrate().await?;
    let connection = rusqlite::Connection::open(&path)?;
    connection.execute(FILL, [devices])?;
    connection.execute_batch(FLAG)?;
    store("SQLite", sqlite, devices, rounds, table).await
}

async fn store<S: Fleet + Schema>(
    engine: &str,
    store: Arc<S>,
    devices: u32,
    rounds: u32,
    table: &mut Table,
) -> anyhow::Result<()> {
    let all = DeviceQuery {
        limit: PAGE,
        ..DeviceQuery::default()
    };
    let flagged = DeviceQuery {
        synchronized: Some(false),
        ..all.clone()
    };
    let of_type = DeviceQuery {
        device_type: Some(DeviceType::ACCESS),
        ..all.clone()
    };
    let queries = [
        ("all", all, devices),
        ("few that match", flagged, devices / 10_000),
        ("many that match", of_type, devices),
    ];
    for (what, query, matching) in queries {
        let runs = alternate(
            &format!("list, {engine}, {what}"),
            rounds,
            &Side::BOTH,
            async |side| {
                let took = match side {
                    Side::Baseline => {
                        let began = Instant::now();
                        store.ping().await?;
                        began.elapsed()
                    }
                    Side::Lockstep => page(&*store, &query, matching).await?,
                };
                Ok(took.as_secs_f64() * 1e3)
            },
        )
        .await?;
        table.rows.push(Row::new(
            format!("first page of {devices} devices and its total, {what}, {engine}"),
            "ms",
            runs.of(Side::Lockstep),
            ("nothing", runs.of(Side::Baseline)),
            Goal::Plus(100.0),
        ));
    }
    Ok(())
}

/// Reads what the console reads for a list with its total.
async fn page(store: &impl Fleet, query: &DeviceQuery, matching: u32) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let (devices, total) = tokio::try_join!(store.devices(query), store.count_devices(query))?;
    let ids: Vec<_> = devices.iter().map(|device| device.id).collect();
    let causes: Vec<CauseId> = devices
        .iter()
        .flat_map(|device| device.open_causes.iter().copied())
        .collect();
    tokio::try_join!(store.groups_of(&ids), store.causes(&causes))?;
    let took = began.elapsed();
    ensure!(
        total == u64::from(matching),
        "{total} devices match, not {matching}"
    );
    ensure!(
        devices.len() as u64 == total.min(PAGE.into()),
        "{} devices",
        devices.len()
    );
    Ok(took)
}
