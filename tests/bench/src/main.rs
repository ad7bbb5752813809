#![doc = include_str!("../README.md")]
#![expect(clippy::print_stderr, reason = "a bench prints each round")]

mod affected;
mod affinity;
mod allocations;
mod audit;
mod bare;
mod celery;
mod console;
mod counting;
mod cycle;
mod devices;
mod elements;
mod external;
mod fan_out;
mod flags;
mod gateway;
mod graphql;
mod growth;
mod import;
mod latency;
mod lease;
mod list;
mod lockstep;
mod messages;
mod meter;
mod mixed;
mod other_build;
mod pages;
mod processes;
mod push;
mod reconcile;
mod rendered;
mod rendering;
mod resume;
mod retention;
mod rounds;
mod scene;
mod stages;
mod sweep;
mod sync;
mod table;
mod throughput;
mod viewers;
mod wal;
mod workers;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use serde::Serialize;

use latency::Load;
use scene::Host;
use table::Table;
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
    /// Devices of an inventory that is imported.
    #[arg(long, default_value_t = 100_000)]
    imported_devices: u32,
    /// Elements of an execution.
    #[arg(long, default_value_t = 10_000)]
    elements: u32,
    /// Runs on simulated devices, each on its own one.
    #[arg(long, default_value_t = 2000)]
    device_runs: u32,
    /// Devices of a plan.
    #[arg(long, default_value_t = 2000)]
    planned_devices: u32,
    /// Devices of the large fleet of `--only growth`.
    #[arg(long, default_value_t = 1_000_000)]
    growth_devices: u32,
    /// Rows of the large inbox of `--only growth`. A million takes about a gigabyte on disk.
    #[arg(long, default_value_t = 10_000_000)]
    growth_rows: u32,
    /// Number of measurements per contender.
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The program `lockstep-bench` of another build, which also takes part in throughput and latency. It starts servers of its own.
    #[arg(long, value_name = "PATH")]
    other: Option<PathBuf>,
    /// Print the table as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Figure {
    Throughput,
    Workers,
    Celery,
    Latency,
    Gateway,
    Affected,
    Rendering,
    /// Needs the feature `count-allocations`.
    Allocations,
    Sweep,
    Flags,
    Mixed,
    Push,
    Retention,
    FanOut,
    Reconcile,
    Lease,
    Audit,
    List,
    Graphql,
    /// The pages of the console.
    Pages,
    /// What viewers of an execution cost a console. Takes more than two minutes.
    Viewers,
    /// Needs the program `lockstep` of the same build.
    Import,
    Elements,
    Cycle,
    Devices,
    /// Needs the program `lockstep` of the same build.
    Sync,
    Resume,
    /// What a run of a program costs that is a provider.
    External,
    /// Only if it is named, because it needs minutes and much space on disk.
    Growth,
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
    #[command(hide = true)]
    ConsoleProcess(console::ConsoleProcess),
}

fn main() -> anyhow::Result<ExitCode> {
    // Runs of external providers start this program once more.
    if let Some(code) = lockstep_external::supervise_if_asked() {
        return Ok(code);
    }
    // HTTP clients of several parts use it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(run())?;
    Ok(ExitCode::SUCCESS)
}

async fn run() -> anyhow::Result<()> {
    let Arguments { part, options } = Arguments::parse();
    match part {
        Some(Part::Bare(bare)) => print(&bare::run(bare).await?),
        Some(Part::Lockstep(lockstep)) => match lockstep::run(lockstep).await? {
            Some(measured) => print(&measured),
            None => Ok(()),
        },
        Some(Part::Sweep(sweep)) => print(&sweep::run(sweep).await?),
        Some(Part::ElementWorker(worker)) => elements::run(worker).await,
        Some(Part::Simulator(simulator)) => devices::run(simulator, print).await,
        Some(Part::ConsoleProcess(process)) => {
            console::run(process, |url| Ok(writeln!(stdout(), "{url}")?)).await
        }
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
    measure_alone(options, wanted, &mut table).await?;
    // All other measurements need a broker and a database.
    let alone = |figure: &Figure| {
        matches!(
            figure,
            Figure::Affected
                | Figure::Sweep
                | Figure::Allocations
                | Figure::Rendering
                | Figure::Sync
                | Figure::External
        )
    };
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
            other: options.other.clone(),
        };
        throughput::measure(&host, sizes, &mut table).await?;
    }
    if wanted(Figure::Workers) {
        let sizes = (options.events, options.devices);
        workers::measure(&host, sizes, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Latency) {
        let load = Load {
            idle: 500,
            rate: 1000,
            seconds: 10,
            devices: options.devices,
        };
        let other = options.other.as_deref();
        latency::measure(&host, load, other, options.rounds, &mut table).await?;
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
    if wanted(Figure::Mixed) {
        let sizes = (options.events, options.devices);
        mixed::measure(&host, sizes, options.rounds, &mut table).await?;
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
    if wanted(Figure::Audit) {
        audit::measure(&host, options.rounds, &mut table).await?;
    }
    if wanted(Figure::Import) {
        import::measure(&host, options.imported_devices, options.rounds, &mut table).await?;
    }
    if wanted(Figure::List) {
        list::measure(&host, options.listed_devices, options.rounds, &mut table).await?;
    }
    measure_console(&host, options, wanted, &mut table).await?;
    measure_executions(&host, options, wanted, &mut table).await?;
    if options.only.contains(&Figure::Growth) {
        let sizes = growth::Sizes {
            events: options.events,
            small_devices: options.devices,
            devices: options.growth_devices,
            rows: options.growth_rows,
            rounds: options.rounds,
        };
        growth::measure(&host, sizes, &mut table).await?;
    }
    Ok(table)
}

/// What the console answers: GraphQL, pages, event streams.
async fn measure_console(
    host: &Host,
    options: &Options,
    wanted: impl Fn(Figure) -> bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    if wanted(Figure::Graphql) {
        graphql::measure(host, options.listed_devices, options.rounds, table).await?;
    }
    if wanted(Figure::Pages) {
        pages::measure(host, options.listed_devices, table).await?;
    }
    if wanted(Figure::Viewers) {
        viewers::measure(host, table).await?;
    }
    Ok(())
}

/// What needs neither a broker nor a database.
async fn measure_alone(
    options: &Options,
    wanted: impl Fn(Figure) -> bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    if wanted(Figure::Affected) {
        affected::measure(options.rounds, table)?;
    }
    if wanted(Figure::Rendering) {
        rendering::measure(options.rounds, table)?;
        rendered::measure(options.rounds, table)?;
    }
    if wanted(Figure::Sweep) {
        sweep::measure(options.tasks, options.rounds, table).await?;
    }
    if wanted(Figure::Sync) {
        sync::measure(options.planned_devices, options.rounds, table).await?;
    }
    if wanted(Figure::External) {
        external::measure(options.rounds, table).await?;
    }
    if options.only.contains(&Figure::Allocations) {
        stages::measure(table).await?;
    }
    Ok(())
}

async fn measure_executions(
    host: &Host,
    options: &Options,
    wanted: impl Fn(Figure) -> bool,
    table: &mut Table,
) -> anyhow::Result<()> {
    if wanted(Figure::Elements) {
        elements::measure(host, options.elements, options.rounds, table).await?;
    }
    if wanted(Figure::Cycle) {
        let sizes = (options.elements, options.tasks);
        cycle::measure(host, sizes, options.rounds, table).await?;
    }
    if wanted(Figure::Devices) {
        devices::measure(host, options.device_runs, options.rounds, table).await?;
    }
    if wanted(Figure::Resume) {
        resume::measure(host, options.rounds, table).await?;
    }
    Ok(())
}
