use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep_protocol::counted;
use lockstep_simulators::cvp::{CvpSimulator, Options, Scenario, TaskStatus};
use serde_json::json;

use super::{Global, output};
use crate::lifecycle::Lifecycle;

/// Run a simulated Arista CloudVision with pending tasks, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate cvp --tasks 2000 --empty 10 --latency 50
  lockstep simulate cvp --seed-scenario --listen 127.0.0.2:443")]
pub(super) struct Cvp {
    /// Address and port to listen on, with TLS; port 0 chooses a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9443")]
    listen: SocketAddr,
    /// Number of nodes; each has the next address, and the same port
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Number of pending tasks, each for another device
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=1_000_000))]
    tasks: u32,
    /// Percentage of tasks that are empty: they have nothing left to do
    #[arg(long, value_name = "PERCENT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=100))]
    empty: u32,
    /// Duration of each request in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Time from the request to cancel a task until its status is Cancelled, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    cancel_delay: u64,
    /// Use the fixed fourteen tasks of the demo instead
    #[arg(long, conflicts_with_all = ["tasks", "empty"])]
    seed_scenario: bool,
    /// File to write the certificate of its authority to [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
}

impl Cvp {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // The simulator keeps its state in memory, so there is nothing to finish.
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
        show_start(&simulator, &options, &ca_file, global.json);
        lifecycle.stop.cancelled().await;
        show_end(&simulator);
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

fn show_start(simulator: &CvpSimulator, options: &Options, ca_file: &Path, json: bool) {
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
        "The script of https://zerosignal.info/post/arista-cvp-delete-empty-tasks-with-python reads the same variables."
    } else {
        "The script of https://zerosignal.info/post/arista-cvp-delete-empty-tasks-with-python needs port 443: use --listen 127.0.0.2:443."
    };
    output::document(&format!(
        "a simulated CloudVision with {tasks} pending tasks listens at {}

In another terminal:
  export CVP_HOSTNAME={hosts} CVP_USERNAME={username} CVP_PASSWORD={password}
  lockstep cvp tasks --ca-file {ca_file}
  lockstep cvp sweep --dry-run --ca-file {ca_file}

{script}
Press Ctrl-C to stop.",
        simulator.url(0)
    ));
}

/// The default port of HTTPS, which addresses may leave out.
const HTTPS: u16 = 443;

fn host(address: &SocketAddr) -> String {
    if address.port() == HTTPS && address.is_ipv4() {
        address.ip().to_string()
    } else {
        address.to_string()
    }
}

fn show_end(simulator: &CvpSimulator) {
    let requests: usize = simulator.counts().values().sum();
    let peak = simulator.peak_concurrency();
    let cancelled = simulator.edit(|world| {
        let tasks = world.tasks.iter();
        tasks.filter(|task| task.status == TaskStatus::Cancelled).count()
    });
    output::note(&format!(
        "received {}, at most {peak} at once; cancelled: {}",
        counted(requests, "request"),
        counted(cancelled, "task")
    ));
}
