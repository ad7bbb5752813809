//! Measures how long a worker takes to process messages again after its broker was killed under load and came back.

use std::time::{Duration, Instant};

use anyhow::ensure;
use lockstep_testbed::{Broker, wait};
use tokio::net::TcpStream;

use crate::scene::{Host, Role, Scene};
use crate::table::{Goal, Row, Table};

const DEVICES: u32 = 1000;
/// Events of a round: more than are processed before the broker is killed.
const EVENTS: u32 = 100_000;
/// When the broker is killed.
const BEFORE: i64 = 2000;
const TIMEOUT: Duration = Duration::from_mins(5);

/// Adds the row about the time from the broker's return to the next processed message.
///
/// # Errors
/// A server does not start, or the worker does not resume.
pub(crate) async fn measure(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let mut ours = Vec::new();
    for round in 1..=rounds {
        let took = resumed(host).await?;
        eprintln!("resume, round {round}: {took:?}");
        ours.push(took.as_secs_f64() * 1e3);
    }
    table.rows.push(Row::new(
        "messages processed again after a killed broker is back",
        "ms",
        &ours,
        ("nothing", &[0.0]),
        Goal::Plus(10_000.0),
    ));
    Ok(())
}

/// Kills the broker in the middle of the events, starts it again, and waits for the next processed message.
async fn resumed(host: &Host) -> anyhow::Result<Duration> {
    let mut broker = Broker::start().await?;
    let scene = host.scene_on(&broker, DEVICES).await?;
    scene.publish_events(EVENTS).await?;
    // Dropped at the end, since the events that are left do not matter.
    let _worker = scene.start(Role::Lockstep, EVENTS)?;
    more_than(&scene, BEFORE).await?;
    broker.kill().await?;
    let address = broker.addr();
    let resumed = async {
        wait::until("the broker to accept connections", TIMEOUT, async || {
            TcpStream::connect(address).await
        })
        .await?;
        let back = Instant::now();
        // Batches that were taken before are committed by now, without the broker.
        let before = processed(&scene).await?;
        ensure!(before < i64::from(EVENTS), "the broker was killed too late");
        more_than(&scene, before).await?;
        Ok(back.elapsed())
    };
    let (restarted, resumed) = tokio::join!(broker.restart(), resumed);
    restarted?;
    resumed
}

async fn processed(scene: &Scene) -> anyhow::Result<i64> {
    let client = scene.schema.connect().await?;
    let count = client.query_one("SELECT count(*) FROM inbox", &[]).await?;
    Ok(count.get(0))
}

async fn more_than(scene: &Scene, count: i64) -> anyhow::Result<()> {
    wait::until("further processed messages", TIMEOUT, async || {
        let processed = processed(scene).await.map_err(|error| format!("{error:#}"))?;
        if processed > count {
            Ok(())
        } else {
            Err(format!("{processed} are processed"))
        }
    })
    .await?;
    Ok(())
}
