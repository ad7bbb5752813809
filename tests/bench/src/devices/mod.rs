//! Measures runs on simulated devices over TLS: how many a worker does in a second, and the memory that they take.

mod fleet;
mod nornir;

use std::time::Instant;

use anyhow::{Context, ensure};
use futures_util::{StreamExt, TryStreamExt};
use lockstep_device::{Command, DeviceAddress, Format};
use lockstep_execution::TargetDevice;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::elements::{OnDevices, Setup, connections, execute};
use crate::rounds::alternate;
use crate::scene::Host;
use crate::table::{Goal, Row, Table};

pub(crate) use fleet::{Fleet, FleetAccess, Simulator, run};

use nornir::Nornir;

/// Runs at once.
const AT_ONCE: u32 = 256;
/// What a device takes for each request, in milliseconds.
const LATENCY: u32 = 100;
/// Ports of a device whose answer is short.
const FEW_PORTS: u32 = 4;

/// The size of a long answer, in bytes.
const LONG: usize = 100 << 10;
/// All answers of the runs under way arrive at about the same time, so that they are in memory together.
const LONG_LATENCY: u32 = 1000;
/// The highest memory of a run under way, in KiB.
const MOST_KIB: f64 = 512.0;

/// Adds all rows about devices.
///
/// # Errors
/// A server rejects a request, or a run was not done.
pub(crate) async fn measure(host: &Host, runs: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    raise_limit(runs)?;
    rates(host, runs, rounds, table).await?;
    memory(host, rounds, table).await
}

/// Raises the limit of open files, which child processes inherit: a simulator has two for each device, and a worker has one.
fn raise_limit(runs: u32) -> anyhow::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit)?;
    let needed = u64::from(runs.max(2 * runs.min(fleet::PER_PROCESS))) + 1000;
    ensure!(
        maximum.is_none_or(|most| most >= needed),
        "{runs} devices need {needed} open files; raise the hard limit (`ulimit -Hn`), or measure fewer devices"
    );
    Ok(())
}

async fn rates(host: &Host, runs: u32, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    let fleet = Fleet::start(runs, LATENCY, FEW_PORTS).await?;
    let nornir = Nornir::install()
        .inspect_err(|error| eprintln!("devices, without Nornir: {error:#}"))
        .ok();
    let setup = Setup {
        elements: runs,
        latency: LATENCY,
        workers: 1,
        places: AT_ONCE,
        cap: None,
        on: Some(OnDevices {
            fleet: &fleet,
            provider: "ping",
            arguments: "{}",
        }),
        cluster: None,
    };
    // Devices make their certificates at the first connection.
    driver_alone(&fleet).await?;
    let mut contenders = vec![Contender::DriverAlone, Contender::Lockstep];
    contenders.extend(nornir.as_ref().map(|_| Contender::Nornir));
    let measured = alternate(
        "devices",
        rounds,
        &contenders,
        async |contender| match contender {
            Contender::DriverAlone => driver_alone(&fleet).await,
            Contender::Lockstep => Ok(execute(host, setup).await?.rate),
            Contender::Nornir => nornir.as_ref().expect("it takes part").measure(&fleet).await,
        },
    )
    .await?;
    let ideal = [f64::from(AT_ONCE) * 1e3 / f64::from(LATENCY)];
    let others = [
        ("ideal", &ideal[..], 0.9),
        (
            "the driver alone, 256 at once",
            measured.of(Contender::DriverAlone),
            0.9,
        ),
        ("Nornir, 256 threads", measured.of(Contender::Nornir), 1.0),
    ];
    for (who, rates, goal) in others {
        if rates.is_empty() {
            continue;
        }
        table.rows.push(Row::new(
            format!("{runs} runs on devices of 100 ms over TLS, 256 at once"),
            "/s",
            measured.of(Contender::Lockstep),
            (who, rates),
            Goal::Times(goal),
        ));
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contender {
    DriverAlone,
    Lockstep,
    Nornir,
}

/// Asks each device for its version, without a worker. Returns devices in a second.
async fn driver_alone(fleet: &Fleet) -> anyhow::Result<f64> {
    let devices = connections(&fleet.access)?;
    let begin = Instant::now();
    futures_util::stream::iter(fleet.addresses())
        .map(|address| {
            let devices = devices.clone();
            tokio::spawn(async move {
                let target = TargetDevice {
                    hostname: address.to_string(),
                    address: DeviceAddress::of_ip(address.into()),
                    platform: None,
                    groups: Vec::new(),
                };
                let mut connection = devices.connect(&target).await?;
                let outputs = connection
                    .run(&[Command::new("show version")?], Format::Json)
                    .await?;
                ensure!(outputs.len() == 1, "{} outputs", outputs.len());
                Ok(())
            })
        })
        .buffer_unordered(usize::try_from(AT_ONCE)?)
        .map(|joined| joined.context("a request panicked")?)
        .try_collect::<()>()
        .await?;
    Ok(f64::from(fleet.devices) / begin.elapsed().as_secs_f64())
}

/// Measures the memory of a run under way whose answer is long: the peak of a fresh worker, without what it has before it runs any.
async fn memory(host: &Host, rounds: u32, table: &mut Table) -> anyhow::Result<()> {
    for (what, arguments, ports) in [
        (
            "as JSON",
            r#"{"commands": ["show interfaces status"], "format": "json"}"#,
            380,
        ),
        (
            "as text",
            r#"{"commands": ["show interfaces status"], "format": "text"}"#,
            1400,
        ),
    ] {
        let fleet = Fleet::start(AT_ONCE, LONG_LATENCY, ports).await?;
        let setup = Setup {
            elements: fleet.devices,
            latency: LONG_LATENCY,
            workers: 1,
            places: AT_ONCE,
            cap: None,
            on: Some(OnDevices {
                fleet: &fleet,
                provider: "command",
                arguments,
            }),
            cluster: None,
        };
        let mut each = Vec::new();
        for round in 1..=rounds {
            let ran = execute(host, setup).await?;
            eprintln!("devices, round {round}: answers of 100 KiB {what}: {ran:.2?}");
            ensure!(ran.least_data >= LONG, "an answer has {} bytes", ran.least_data);
            each.push(ran.growth_kib / f64::from(AT_ONCE));
        }
        table.rows.push(Row::new(
            format!("memory of a run under way, its answer 100 KiB {what} over TLS"),
            "KiB",
            &each,
            ("goal", &[MOST_KIB]),
            Goal::AtMost(1.0),
        ));
    }
    Ok(())
}
