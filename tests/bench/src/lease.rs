//! Measures the cost of a lease: acquired, renewed and released, against the same number of bare updates of a row.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_store::Leases;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};

use crate::rounds::{Side, alternate};
use crate::scene::{Host, Scene};
use crate::table::{Goal, Row, Table};

/// Repetitions in one round.
const TURNS: u32 = 300;

const NAME: &str = "bench";
const TIME: Duration = Duration::from_mins(1);

/// Measures both alternately.
///
/// # Errors
/// The database rejects a statement.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let scene = host.scene(1).await?;
    let store = PostgresStore::connect(PostgresOptions::new(scene.schema.url()))?;
    // Warm-up: opens the session, prepares the statements and creates the row.
    turn(&store).await?;
    let runs = alternate("lease", rounds, &Side::BOTH, async |side| {
        let took = match side {
            Side::Baseline => updates(&scene).await?,
            Side::Lockstep => {
                let began = Instant::now();
                for _ in 0..TURNS {
                    turn(&store).await?;
                }
                began.elapsed() / TURNS
            }
        };
        Ok(took.as_secs_f64() * 1e3)
    })
    .await?;
    table.rows.push(Row::new(
        "a lease acquired, renewed, released",
        "ms",
        runs.of(Side::Lockstep),
        ("three bare updates", runs.of(Side::Baseline)),
        Goal::AtMost(1.3),
    ));
    Ok(())
}

async fn turn(store: &PostgresStore) -> anyhow::Result<()> {
    let lease = store
        .acquire(NAME, TIME)
        .await?
        .context("another owner has the lease")?;
    ensure!(store.renew(&lease, TIME).await?, "it was just acquired");
    Ok(store.release(&lease).await?)
}

/// The time of three updates of such a row, each in its own transaction.
async fn updates(scene: &Scene) -> anyhow::Result<Duration> {
    let client = scene.schema.connect().await?;
    let update = client
        .prepare("UPDATE lease SET until = clock_timestamp() WHERE name = $1")
        .await?;
    let began = Instant::now();
    for _ in 0..3 * TURNS {
        ensure!(client.execute(&update, &[&NAME]).await? == 1);
    }
    Ok(began.elapsed() / TURNS)
}
