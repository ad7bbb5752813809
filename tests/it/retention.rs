//! Old rows are deleted while the lanes process messages, and rows that are needed stay.

use anyhow::{Result, ensure};
use lockstep_testbed::wait;

use crate::system::clock::wrong_by;
use crate::system::records::Records;
use crate::system::{Ground, Load, PATIENCE, Scene};

const LOAD: Load = Load {
    devices: 50,
    events: 4000,
};

const OLD: i64 = 20_000;

/// Number of messages that were processed forty days ago.
async fn fill(records: &Records) -> Result<()> {
    match records {
        Records::Postgres { url } => {
            let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
            tokio::spawn(connection);
            let fill = "INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
                SELECT 'urn:old', number::text, 'x', '', 'applied', now() - interval '40 days', 'x', '{}' \
                FROM generate_series(1, $1::bigint) AS number";
            client.execute(fill, &[&OLD]).await?;
        }
        Records::Sqlite { path } => {
            let fill = "WITH RECURSIVE series (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM series WHERE number < ?1) \
                INSERT INTO inbox (source, id, kind, digest, state, at, result_type, result) \
                SELECT 'urn:old', number, 'x', X'', 'applied', (unixepoch() - 40 * 86400) * 1000000, 'x', '{}' FROM series";
            rusqlite::Connection::open(path)?.execute(fill, [OLD])?;
        }
    }
    Ok(())
}

async fn while_the_lanes_work(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let oracle = scene.oracle();
    fill(&oracle.records).await?;
    let bus = scene.bus().await?;
    let sent = LOAD.publish(&*bus).await?;
    bus.close().await;
    let worker = scene.worker(&[
        ("LOCKSTEP__RETENTION__EVERY", "1s"),
        ("LOCKSTEP__RETENTION__INBOX", "2d"),
    ])?;
    let expected = i64::try_from(sent.len())?;
    wait::until(
        "old rows to be deleted and new messages to be processed",
        PATIENCE,
        async || {
            // None of the rows is an old one: only messages of this test are there.
            match oracle.records.processed().await {
                Ok(rows) if rows == expected => match oracle.records.inbox().await {
                    Ok(rows) if rows.keys().all(|identity| sent.contains_key(identity)) => Ok(()),
                    Ok(_) => Err("some are old".to_owned()),
                    Err(error) => Err(format!("{error:#}")),
                },
                Ok(rows) => Err(format!("{rows} rows instead of {expected}")),
                Err(error) => Err(format!("{error:#}")),
            }
        },
    )
    .await?;
    worker.stop().await?;
    let bus = scene.bus().await?;
    oracle.check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_go_while_the_lanes_work_on_servers() -> Result<()> {
    while_the_lanes_work(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_go_while_the_lanes_work_embedded() -> Result<()> {
    while_the_lanes_work(Ground::Embedded).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_clock_is_a_year_ahead_deletes_nothing_early() -> Result<()> {
    let scene = Scene::new(Ground::Servers).await?;
    let bus = scene.bus().await?;
    let load = Load { events: 0, ..LOAD };
    let sent = load.publish(&*bus).await?;
    let right = scene.worker(&[])?;
    scene.oracle().processed(&sent).await?;
    right.stop().await?;
    fill(&scene.oracle().records).await?;
    let sweeping = [
        ("LOCKSTEP__RETENTION__EVERY", "1s"),
        ("LOCKSTEP__RETENTION__INBOX", "2d"),
    ];
    let worker = scene.worker(&[&wrong_by("+31536000")[..], &sweeping].concat())?;
    let records = scene.oracle().records;
    wait::until("old rows to be deleted", PATIENCE, async || {
        match records.processed().await {
            Ok(1) => Ok(()),
            Ok(rows) => Err(format!("{rows} rows")),
            Err(error) => Err(format!("{error:#}")),
        }
    })
    .await?;
    worker.prints("expired records deleted").await?;
    ensure!(records.processed().await? == 1, "the row of today is gone");
    worker.stop().await
}
