#![doc = include_str!("../README.md")]
#![expect(clippy::print_stderr, reason = "a bench prints each round")]

mod affected;
mod allocations;
mod bare;
mod celery;
mod counting;
mod cycle;
mod devices;
mod elements;
mod fan_out;
mod flags;
mod gateway;
mod latency;
mod lease;
mod list;
mod lockstep;
mod messages;
mod meter;
mod processes;
mod push;
mod reconcile;
mod resume;
mod retention;
mod scene;
mod stages;
mod sweep;
mod table;
mod throughput;

use std::io::Write;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use latency::Load;
use scene::{Host, Role};
use table::{Goal, Row, Table, median};
use throughput::Sizes;

/// Measures Lockstep against bare loops and peers, with a broker and a database of its own.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    options: Options,
}

#[derive(Clone, Debug, clap::Args)]
struct Options {
    /// What to measure [default: everything]
    #[arg(long, value_delimiter = ',')]
    only: Vec<Figure>,
    /// Events of one throughput run.
    #[arg(long, default_value_t = 30_000)]
    events: u32,
    /// Events of one run of Celery.
    #[arg(long, default_value_t = 2000)]
    celery_events: u32,
    /// Tasks of a sweep of CloudVision.
    #[arg(long, default_value_t = 2000)]
    tasks: usize,
    /// Devices of the fleet.
    #[arg(long, default_value_t = 10_000)]
    devices: u32,
    /// Pushes of one run of the gateway.
    #[arg(long, default_value_t = 20_000)]
    pushes: u32,
    /// Devices that one change of a repository concerns.
    #[arg(long, default_value_t = 100_000)]
    flagged_devices: u32,
    /// Devices of a list.
    #[arg(long, default_value_t = 100_000)]
    listed_devices: u32,
    /// Elements of an execution.
    #[arg(long, default_value_t = 10_000)]
    elements: u32,
    /// Runs on simulated devices, each on its own one.
    #[arg(long, default_value_t = 2000)]
    device_runs: u32,
    /// Number of measurements per contender.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    Throughput,
    Celery,
    Latency,
    Gateway,
    Affected,
    /// Needs the feature `count-allocations`.
    Allocations,
    Sweep,
    Flags,
    Push,
    Retention,
    FanOut,
    Reconcile,
    Lease,
    List,
    Elements,
    Cycle,
    Devices,
    Resume,
}

/// The hidden commands that the bench starts as separate processes.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true)]
    Bare(bare::Bare),
    #[command(hide = true)]
    Lockstep(lockstep::Lockstep),
    #[command(hide = true)]
    Sweep(sweep::Sweep),
    #[command(hide = true)]
    ElementWorker(elements::ElementWorker),
    #[command(hide = true)]
    Simulator(devices::Simulator),
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { part, options } = Arguments::parse();
    match part {
        Some(Part::Bare(bare)) => print(&bare::run(bare).await?),
        Some(Part::Lockstep(lockstep)) => print(&lockstep::run(lockstep).await?),
        Some(Part::Sweep(sweep)) => print(&sweep::run(sweep).await?),
        Some(Part::ElementWorker(worker)) => elements::run(worker).await,
        Some(Part::Simulator(simulator)) => devices::run(simulator, print).await,
        None => {
            let table = measure(&options).await?;
            if options.json {
                print(&table)
            } else {
                write!(stdout(), "{table}").map_err(Into::into)
            }
        }
    }
}

/// A figure of the latency table: its name, how to read it, and by how many milliseconds it may exceed the bare loop's.
type Percentile = (&'static str, fn(&latency::Latencies) -> std::time::Duration, f64);

fn print(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(writeln!(stdout(), "{}", serde_json::to_string_pretty(value)?)?)
}

#[expect(clippy::disallowed_methods, reason = "a bench prints only its own figures")]
fn stdout() -> std::io::Stdout {
    std::io::stdout()
}

async fn measure(options: &Options) -> anyhow::Result<Table> {
    let wanted = |figure| options.only.is_empty() || options.only.contains(&figure);
    let mut table = Table::default();
    if wanted(Figure::Affected) {
        affected::measure(options.rounds, &mut table)?;
    }
    if wanted(Figure::Sweep) {
        sweep::measure(options.tasks, options.rounds, &mut table).await?;
    }
    if options.only.contains(&Figure::Allocations) {
        stages::measure(&mut table).await?;
    }
    // All other measurements need a broker and a database.
    let alone = |figure: &Figure| matches!(figure, Figure::Affected | Figure::Sweep | Figure::Allocations);
    if !options.only.is_empty() && options.only.iter().all(alone) {
        return Ok(table);
    }
    let host = Host::start().await?;
    if wanted(Figure::Throughput) || wanted(Figure::Celery) {
        let sizes = Sizes {
            events: options.events,
            celery_events: if wanted(Figure::Celery) {
                options.celery_events
            } else {
                0
            },
            devices: options.devices,
            rounds: options.rounds,
        };
        throughput::measure(&host, sizes, &mut table).await?;
    }
    if wanted(Figure::Latency) {
        latencies(&host, options, &mut table).await?;
    }
    if wanted(Figure::Gateway) {
        gateway::measure(&host, options.pushes, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Push) {
        push::measure(&host, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Flags) {
        flags::measure(&host, options.flagged_devices, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Retention) {
        let sizes = (options.events, options.devices);
        retention::measure(&host, sizes, options.rounds, &mut table).await?;
    }
    if wanted(Figure::FanOut) {
        fan_out::measure(&host, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Reconcile) {
        reconcile::measure(&host, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Lease) {
        lease::measure(&host, options.rounds, &mut table).await?;
    }
    if wanted(Figure::List) {
        list::measure(&host, options.listed_devices, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Elements) {
        elements::measure(&host, options.elements, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Cycle) {
        let sizes = (options.elements, options.tasks);
        cycle::measure(&host, sizes, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Devices) {
        devices::measure(&host, options.device_runs, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Resume) {
        resume::measure(&host, options.rounds, &mut table).await?;
    }
    Ok(table)
}

async fn latencies(host: &Host, options: &Options, table: &mut Table) -> anyhow::Result<()> {
    let load = Load {
        idle: 500,
        rate: 1000,
        seconds: 10,
        devices: options.devices,
    };
    let echo = Role::Bare { linger: 0, ahead: 1 };
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        for (role, into) in [(echo, &mut bare), (Role::Lockstep, &mut ours)] {
            let scene = host.scene(options.devices).await?;
            let latencies = latency::measure(&scene, role, load).await?;
            eprintln!("latency, round {round}: {role:?} {latencies:?}");
            into.push(latencies);
        }
    }
    let middle = |all: &[latency::Latencies], of: fn(&latency::Latencies) -> std::time::Duration| {
        median(all.iter().map(|one| of(one).as_secs_f64() * 1e3).collect())
    };
    let figures: [Percentile; 4] = [
        ("latency idle, p50", |one| one.idle.p50, 3.0),
        ("latency idle, p99", |one| one.idle.p99, 15.0),
        ("latency at 1,000 events/s, p50", |one| one.loaded.p50, 3.0),
        ("latency at 1,000 events/s, p99", |one| one.loaded.p99, 15.0),
    ];
    for (what, of, most) in figures {
        let other = ("bare", middle(&bare, of));
        table
            .rows
            .push(Row::new(what, "ms", middle(&ours, of), other, Goal::Plus(most)));
    }
    Ok(())
}
