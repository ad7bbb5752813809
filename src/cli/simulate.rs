use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, Subcommand};
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario, TaskStatus};
use serde_json::json;

use super::{Global, output};
use crate::lifecycle::Lifecycle;

/// Runs a simulated peer to try things against
#[derive(Debug, Args)]
pub(super) struct Simulate {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    Cvp(Cvp),
}

/// An Arista CloudVision with pending tasks, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate cvp --tasks 2000 --empty 10 --latency 50
  lockstep simulate cvp --seed-scenario --listen 127.0.0.2:443")]
struct Cvp {
    /// Where it listens, with TLS; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// Nodes of the cluster; each has the address after the one before, and the same port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// How many pending tasks there are, each on a device of its own
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    tasks: u32,
    /// How many of a hundred tasks have nothing left to do
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100))]
    empty: u32,
    /// Milliseconds each request takes
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Milliseconds until a task is Cancelled, after that was asked for
    #[arg(long, value_name = "MS", default_value_t = 0)]
    cancel_delay: u64,
    /// The fourteen tasks of the article on empty tasks instead
    #[arg(long, conflicts_with_all = ["tasks", "empty"])]
    seed_scenario: bool,
    /// Where to put the certificate of its authority [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
}

impl Simulate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.peer {
            Peer::Cvp(command) => command.run(global).await,
        }
    }
}

impl Cvp {
    async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // Nothing has to be finished: what it knows is gone with it.
        let lifecycle = Lifecycle::start(Duration::ZERO)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let ca_file = self.ca_out.clone();
        let ca_file = ca_file.unwrap_or_else(|| folder.path().join("cvp-ca.pem"));
        let options = Options {
            listen: self.listen,
            nodes: self.nodes,
            ..Options::default()
        };
        let simulator = CvpSimulator::start(self.scenario(), options.clone()).await?;
        std::fs::write(&ca_file, simulator.ca_pem())
            .with_context(|| format!("cannot write {}", ca_file.display()))?;
        greet(&simulator, &options, &ca_file, global.json);
        lifecycle.soft.cancelled().await;
        part(&simulator);
        Ok(ExitCode::SUCCESS)
    }

    fn scenario(&self) -> Scenario {
        let scenario = if self.seed_scenario {
            Scenario::seed()
        } else {
            Scenario::many(self.tasks as usize, self.empty as usize)
        };
        scenario.tuned(|knobs| {
            knobs.latency = Duration::from_millis(self.latency);
            knobs.cancel_delay = Duration::from_millis(self.cancel_delay);
        })
    }
}

fn greet(simulator: &CvpSimulator, options: &Options, ca_file: &Path, json: bool) {
    let addresses = simulator.addresses();
    let tasks = simulator.edit(|world| world.tasks.len());
    let (username, password) = (&options.username, &options.password);
    if json {
        output::json(&json!({
            "addresses": addresses, "username": username, "password": password, "token": options.token,
            "ca_file": ca_file, "tasks": tasks,
        }));
        return;
    }
    let hosts = addresses.iter().map(host).collect::<Vec<_>>().join(",");
    let ca_file = ca_file.display();
    let script = if options.listen.port() == HTTPS {
        "The article's script takes the same variables."
    } else {
        "The article's script knows port 443 only: start this with --listen 127.0.0.2:443 for it."
    };
    output::line(&format!(
        "a simulated CloudVision with {tasks} pending tasks is up at {}

In another terminal:
  export CVP_HOSTNAME={hosts} CVP_USERNAME={username} CVP_PASSWORD={password}
  lockstep cvp tasks --ca-file {ca_file}
  lockstep cvp sweep --dry-run --ca-file {ca_file}

{script}
Ctrl-C ends it.",
        simulator.url(0)
    ));
}

/// The port that goes without saying.
const HTTPS: u16 = 443;

fn host(address: &SocketAddr) -> String {
    if address.port() == HTTPS && address.is_ipv4() {
        address.ip().to_string()
    } else {
        address.to_string()
    }
}

fn part(simulator: &CvpSimulator) {
    let requests: usize = simulator.counts().values().sum();
    let peak = simulator.peak_concurrency();
    let cancelled = simulator.edit(|world| {
        let tasks = world.tasks.iter();
        tasks.filter(|task| task.status == TaskStatus::Cancelled).count()
    });
    output::note(&format!(
        "{requests} requests came, at most {peak} at once; {cancelled} tasks are cancelled"
    ));
}
