//! A sweep of CloudVision by message over two workers, against the sweep of one process.

use anyhow::ensure;
use lockstep_protocol::commands::CvpSweepRequested;

use crate::elements::{CLUSTER, ClusterAccess, Setup, run_on_workers};
use crate::rounds::alternate;
use crate::scene::Host;
use crate::sweep::{CONCURRENCY, LATENCY, one, simulator};
use crate::table::{Goal, Row, Table};

const WORKERS: u32 = 2;

/// Adds the rows: with as many requests in flight in each worker as in the one process, and with as many in all.
///
/// # Errors
/// A server rejects a request, a sweep fails or leaves an empty task.
pub(super) async fn measure(host: &Host, tasks: usize, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let setups = [
        ("CloudVision sweep by message over two workers", CONCURRENCY),
        ("the same with as many requests at once in all", CONCURRENCY / 2),
    ];
    // Without a concurrency, it is the one process.
    let contenders = [None, Some(CONCURRENCY), Some(CONCURRENCY / 2)];
    let all = f64::from(u32::try_from(tasks)?);
    let runs = alternate("cycle, sweep", rounds, &contenders, async |concurrency| {
        let seconds = match concurrency {
            None => one(tasks, LATENCY).await?.0.seconds,
            Some(concurrency) => by_message(host, tasks, concurrency).await?,
        };
        Ok(all / seconds)
    })
    .await?;
    for (what, concurrency) in setups {
        table.rows.push(Row::new(
            what,
            "tasks/s",
            runs.of(Some(concurrency)),
            ("one process", runs.of(None)),
            Goal::Times(0.9),
        ));
    }
    Ok(())
}

/// Sweeps by message. Returns the seconds from the begin of the first element to the end of the last one.
async fn by_message(host: &Host, tasks: usize, concurrency: u16) -> anyhow::Result<f64> {
    let simulator = simulator(tasks, LATENCY).await?;
    let folder = tempfile::tempdir()?;
    let cluster = ClusterAccess {
        cluster: simulator.addresses()[0],
        cluster_ca_file: folder.path().join("ca.pem"),
        concurrency,
    };
    std::fs::write(&cluster.cluster_ca_file, simulator.ca_pem())?;
    let setup = Setup {
        // The tasks, and the list of them.
        elements: u32::try_from(tasks)? + 1,
        latency: 0,
        workers: WORKERS,
        places: 1,
        cap: None,
        on: None,
        cluster: Some(&cluster),
    };
    let request = CvpSweepRequested {
        cluster: CLUSTER.to_owned(),
        dry_run: false,
        devices: Vec::new(),
        tasks: Vec::new(),
    };
    let scene = host.scene(1).await?;
    let ran = run_on_workers(&scene, setup, request).await?;
    ensure!(
        simulator.cancelled().len() == tasks / 10,
        "{} tasks are cancelled",
        simulator.cancelled().len()
    );
    Ok(ran.seconds)
}
