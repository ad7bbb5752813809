//! Measures a sweep of CloudVision tasks against the lower bound set by the latency of its requests, and against the article's
//! script.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lockstep_clock::SystemClock;
use lockstep_cvp::sweep::{SweepContext, SweepOptions, run as sweep};
use lockstep_cvp::{ClientOptions, Credentials, CvpClient, RetryOptions};
use lockstep_simulators::cvp::{CvpSimulator, Logged, Options, Scenario};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::processes::memory_kib;
use crate::table::{Goal, Row, Table, median};

pub(crate) const LATENCY: Duration = Duration::from_millis(50);
pub(crate) const CONCURRENCY: u16 = 32;

/// One sweep in its own process, so that its memory is measured apart from the simulator's.
#[derive(Debug, clap::Args)]
pub(crate) struct Sweep {
    /// URLs of the CloudVision nodes.
    address: SocketAddr,
    /// File with the certificate of its authority.
    ca_file: PathBuf,
}

/// The measurement of a sweep.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Swept {
    pub(crate) seconds: f64,
    listed: u32,
    cancelled: u32,
    /// Peak memory of the process, in MiB.
    peak_mib: f64,
}

/// Sweeps once, with the defaults of the command line.
///
/// # Errors
/// CloudVision does not answer as expected.
pub(crate) async fn run(arguments: Sweep) -> anyhow::Result<Swept> {
    let client = Arc::new(client(arguments.address, &arguments.ca_file, CONCURRENCY)?);
    let context = SweepContext {
        cvp: client.clone(),
        clock: Arc::new(SystemClock),
        observe: Arc::new(|_| {}),
    };
    let options = SweepOptions {
        dry_run: false,
        in_flight: usize::from(CONCURRENCY) * 4,
        ..SweepOptions::default()
    };
    let begin = Instant::now();
    let summary = sweep(context, options).await?;
    client.log_out().await;
    Ok(Swept {
        seconds: begin.elapsed().as_secs_f64(),
        listed: u32::try_from(summary.listed)?,
        cancelled: u32::try_from(summary.cancelled)?,
        peak_mib: memory_kib(std::process::id(), "VmHWM")? / 1024.0,
    })
}

/// A client of a simulated CloudVision.
///
/// # Errors
/// The file of its authority cannot be read.
pub(crate) fn client(address: SocketAddr, ca_file: &Path, concurrency: u16) -> anyhow::Result<CvpClient> {
    let usual = Options::default();
    let options = ClientOptions {
        nodes: vec![address.to_string().parse()?],
        credentials: Credentials::Password {
            username: usual.username,
            password: usual.password.into(),
        },
        cloud: false,
        concurrency: usize::from(concurrency),
        timeout: Duration::from_mins(1),
        login_timeout: Duration::from_secs(15),
        retry: RetryOptions::default(),
    };
    Ok(CvpClient::new(
        http(&std::fs::read(ca_file)?)?,
        options,
        Arc::new(SystemClock),
    ))
}

#[expect(clippy::disallowed_methods, reason = "the bench has a client of its own")]
fn http(ca: &[u8]) -> anyhow::Result<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .tls_certs_only(reqwest::Certificate::from_pem_bundle(ca)?)
        .redirect(reqwest::redirect::Policy::none())
        .tcp_nodelay(true)
        .no_proxy()
        .build()?)
}

/// Adds the rows of sweeps.
///
/// # Errors
/// A sweep fails or leaves an empty task.
pub(crate) async fn measure(tasks: usize, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let (mut rates, mut ideals, mut scripts) = (Vec::new(), Vec::new(), Vec::new());
    let mut small = Vec::new();
    for round in 1..=rounds {
        let (swept, requests) = one(tasks, LATENCY).await?;
        let rate = |time: f64| f64::from(swept.listed) / time;
        let ideal = f64::from(requests) * LATENCY.as_secs_f64() / f64::from(CONCURRENCY);
        // Sequential: login, list, version, one check per task, one cancel per empty task.
        let script = f64::from(3 + swept.listed + swept.cancelled) * LATENCY.as_secs_f64();
        eprintln!("sweep, round {round}: {swept:?}, {requests} requests, ideal {ideal:.2} s");
        rates.push(rate(swept.seconds));
        ideals.push(rate(ideal));
        scripts.push(rate(script));
        small.push(swept.peak_mib);
    }
    let what = "CloudVision sweep, 10 % empty, 50 ms a request";
    table.rows.push(Row::new(
        what,
        "tasks/s",
        &rates,
        ("its requests, 32 at once", &ideals),
        Goal::Times(0.92),
    ));
    table.rows.push(Row::new(
        what,
        "tasks/s",
        &rates,
        ("the article's script", &scripts),
        Goal::Times(25.0),
    ));
    let (large, _) = one(tasks * 10, Duration::ZERO).await?;
    let memory = "memory of a sweep of ten times the tasks";
    table.rows.push(Row::new(
        memory,
        "MiB",
        &[large.peak_mib],
        ("of the tasks above", &[median(small)]),
        Goal::Plus(MORE_MIB),
    ));
    Ok(())
}

/// How much more memory ten times the tasks may take. The inventory is one response with a row per device.
const MORE_MIB: f64 = 48.0;

/// Starts a CloudVision with so many tasks, of which every tenth is empty.
///
/// # Errors
/// It cannot be started.
pub(crate) async fn simulator(tasks: usize, latency: Duration) -> anyhow::Result<CvpSimulator> {
    let scenario = Scenario::many(tasks, 10).tuned(|knobs| knobs.latency = latency);
    let simulator = CvpSimulator::start(scenario, Options::default()).await?;
    // One finished change control, as on any cluster in use.
    simulator.edit(|world| {
        world.attach("1", "cc1");
        world.change_controls[0].status = Some(lockstep_simulators::cvp::ChangeControlStatus::Completed);
    });
    Ok(simulator)
}

/// Runs one sweep and counts its requests.
///
/// # Errors
/// It fails or leaves an empty task.
pub(crate) async fn one(tasks: usize, latency: Duration) -> anyhow::Result<(Swept, u32)> {
    let simulator = simulator(tasks, latency).await?;
    let folder = tempfile::tempdir()?;
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, simulator.ca_pem())?;
    let child = Command::new(std::env::current_exe()?)
        .arg("sweep")
        .arg(simulator.addresses()[0].to_string())
        .arg(&ca_file)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output();
    let output = child.await.context("cannot start the sweep")?;
    ensure!(output.status.success(), "the sweep failed: {}", output.status);
    let swept: Swept = serde_json::from_slice(&output.stdout)?;
    let (in_flight, milliseconds) = in_flight(&simulator.requests());
    eprintln!("sweep: {in_flight:.1} requests in flight on average, {milliseconds:.1} ms each");
    let requests = u32::try_from(simulator.counts().values().sum::<usize>())?;
    let expected = (tasks, tasks / 10);
    ensure!(
        (swept.listed as usize, swept.cancelled as usize) == expected,
        "{swept:?}"
    );
    ensure!(
        simulator.cancelled().len() == swept.cancelled as usize,
        "cancelled more than once"
    );
    ensure!(
        simulator.peak_concurrency() <= usize::from(CONCURRENCY),
        "more at once than allowed"
    );
    Ok((swept, requests))
}

/// How many requests were in flight on average, and how many milliseconds each took, as the simulator saw them.
fn in_flight(requests: &[Logged]) -> (f64, f64) {
    let times = requests
        .iter()
        .filter_map(|request| Some((request.at, request.ended_at?)));
    let (mut first, mut last, mut sum, mut count) = (Duration::MAX, Duration::ZERO, 0.0, 0.0);
    for (begin, end) in times {
        first = first.min(begin);
        last = last.max(end);
        sum += end.saturating_sub(begin).as_secs_f64();
        count += 1.0;
    }
    (sum / last.saturating_sub(first).as_secs_f64(), 1e3 * sum / count)
}
