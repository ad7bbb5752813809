//! Fills an inbox with old rows like those that a worker writes.

use anyhow::{Context, ensure};

use crate::scene::{Role, Scene};

/// Rows in one statement.
const CHUNK: i64 = 500_000;

/// Bytes on disk for each row, with its indexes.
const ROW: u64 = 800;
/// Bytes on disk for each device, with its indexes.
const DEVICE: u64 = 800;
/// Bytes of the write-ahead log that are kept meanwhile.
const LOG: u64 = 5 << 30;

/// Checks that there is enough space for the data of the database.
///
/// # Errors
/// There is not.
pub(super) fn check_space(devices: u32, rows: u32) -> anyhow::Result<()> {
    let folder = std::env::temp_dir();
    let disk = rustix::fs::statvfs(&folder)?;
    let free = disk.f_bavail * disk.f_frsize;
    let needed = u64::from(rows) * ROW + u64::from(devices) * DEVICE + LOG;
    ensure!(
        free >= needed,
        "{} has {} GB left, and {rows} inbox rows need {} GB: set TMPDIR, or measure fewer by --growth-rows",
        folder.display(),
        free >> 30,
        needed >> 30
    );
    Ok(())
}

/// Fills the inbox: from 60 days ago until now, so that half of the rows are older than the retention period of 30 days.
///
/// # Errors
/// A server rejects a request.
pub(super) async fn fill(scene: &Scene, rows: u32) -> anyhow::Result<()> {
    // The row of a real event is the model of all others.
    scene.publish_events(1).await?;
    scene.start(Role::Lockstep, 1)?.measured().await?;
    let client = scene.schema.connect().await?;
    // Few checkpoints, and no waits for the disk.
    client
        .batch_execute("ALTER SYSTEM SET max_wal_size = '4GB'")
        .await?;
    client
        .batch_execute("SELECT pg_reload_conf(); SET synchronous_commit = off")
        .await?;
    let rows = i64::from(rows);
    let first_cause = "SELECT nextval('cause_block')";
    let first_cause: i64 = client.query_one(first_cause, &[]).await?.get(0);
    client
        .execute("SELECT setval('cause_block', $1)", &[&(first_cause + rows)])
        .await?;
    client
        .batch_execute("CREATE TEMP TABLE model AS SELECT * FROM inbox")
        .await?;
    let columns = "SELECT column_name::text FROM information_schema.columns \
        WHERE table_schema = current_schema() AND table_name = 'inbox' ORDER BY ordinal_position";
    let columns: Vec<String> = client
        .query(columns, &[])
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let values: Vec<String> = columns.iter().map(|column| value(column)).collect();
    let insert = format!(
        "INSERT INTO inbox ({}) SELECT {} FROM model, \
            (SELECT number, 'access-' || CASE WHEN device < 100000 THEN lpad(device::text, 5, '0') ELSE device::text END AS hostname \
             FROM (SELECT number, number * 7919 % $3::bigint AS device \
                FROM generate_series($1::bigint, $2::bigint) AS number) AS numbers) AS new, \
            (SELECT $4::bigint AS rows, $5::bigint AS first_cause) AS all_rows",
        columns.join(", "),
        values.join(", ")
    );
    let insert = client.prepare(&insert).await.context("prepare old rows")?;
    let mut from = 1;
    while from <= rows {
        let to = rows.min(from + CHUNK - 1);
        let devices = i64::from(scene.devices);
        client
            .execute(&insert, &[&from, &to, &devices, &rows, &first_cause])
            .await?;
        eprintln!("growth: {to} of {rows} inbox rows");
        from = to + 1;
    }
    client.batch_execute("VACUUM ANALYZE inbox").await?;
    client.batch_execute("ALTER SYSTEM RESET max_wal_size").await?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    Ok(client.batch_execute("CHECKPOINT").await?)
}

/// The value of a column of an old row. Ids are spread over all possible ones, and ascend with the rows, as an index is filled fastest.
fn value(column: &str) -> String {
    match column {
        "id" => "lpad(to_hex(number * 4294967295 / rows), 8, '0') || left(md5(number::text), 28)".to_owned(),
        "digest" => "sha256(number::text::bytea)".to_owned(),
        "at" => {
            "now() - interval '60 days' * (1 - number::double precision / (rows + 1)) - interval '1 minute'"
                .to_owned()
        }
        "subject" => "hostname".to_owned(),
        "result" => "replace(model.result, model.subject, hostname)".to_owned(),
        "cause_id" => "CASE WHEN model.cause_id IS NOT NULL THEN first_cause + number END".to_owned(),
        _ => format!("model.{column}"),
    }
}
