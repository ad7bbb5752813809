//! Simulated devices, in processes of their own.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, ensure};
use lockstep_simulators::fleet::{Device, FleetSimulator, Options, Port};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The most devices of one process. Each has two open files, its listener and a connection.
pub(super) const PER_PROCESS: u32 = 5000;
/// The address of the first device; the others follow.
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 64, 0, 1);

/// How the devices are reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct FleetAccess {
    /// The port of all devices.
    #[arg(long, required = false)]
    pub(crate) port: u16,
    /// File with the certificates of their authorities.
    #[arg(long, required = false)]
    pub(crate) ca_file: PathBuf,
}

/// Devices until it is dropped.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) access: FleetAccess,
    pub(crate) devices: u32,
    _folder: TempDir,
    _processes: Vec<Child>,
}

/// Options of a process with devices.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Simulator {
    /// The address of the first device.
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    devices: u32,
    /// What each request takes, in milliseconds.
    #[arg(long)]
    latency: u32,
    /// Ports of each device.
    #[arg(long)]
    ports: u32,
}

/// What such a process prints when its devices can be reached.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Started {
    port: u16,
    ca_pem: String,
}

/// Simulates devices until the process is killed.
///
/// # Errors
/// An address is in use.
pub(crate) async fn run(
    arguments: Simulator,
    started: impl FnOnce(&Started) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let ports = (1..=arguments.ports).map(|number| Port {
        name: format!("Ethernet{number}"),
        description: format!("server {number}"),
        vlan: 100,
        connected: true,
        neighbor: None,
    });
    let ports: Vec<Port> = ports.collect();
    let devices = (1..=arguments.devices).map(|number| Device {
        ports: ports.clone(),
        latency: Duration::from_millis(arguments.latency.into()),
        ..Device::numbered(number)
    });
    let options = Options {
        listen: arguments.listen,
        ..Options::default()
    };
    let fleet = FleetSimulator::start(devices.collect(), options).await?;
    let address = fleet.addresses().into_iter().next().context("no device")?;
    started(&Started {
        port: address.port(),
        ca_pem: fleet.ca_pem().to_owned(),
    })?;
    std::future::pending().await
}

impl Fleet {
    /// Starts devices whose requests take `latency` milliseconds.
    ///
    /// # Errors
    /// An address is in use.
    pub(super) async fn start(devices: u32, latency: u32, ports: u32) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut processes = Vec::new();
        let (mut port, mut authorities) = (0, String::new());
        for before in (0..devices).step_by(usize::try_from(PER_PROCESS)?) {
            let listen = SocketAddr::from((Ipv4Addr::from(u32::from(FIRST) + before), port));
            let mut process = Command::new(std::env::current_exe()?)
                .arg("simulator")
                .args(["--listen", &listen.to_string()])
                .args(["--devices", &(devices - before).min(PER_PROCESS).to_string()])
                .args(["--latency", &latency.to_string()])
                .args(["--ports", &ports.to_string()])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let mut printed = Vec::new();
            let output = process.stdout.take().context("no standard output")?;
            BufReader::new(output).read_until(b'}', &mut printed).await?;
            ensure!(!printed.is_empty(), "a simulator ended");
            let started: Started = serde_json::from_slice(&printed)?;
            port = started.port;
            authorities.push_str(&started.ca_pem);
            processes.push(process);
        }
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, authorities)?;
        Ok(Self {
            access: FleetAccess { port, ca_file },
            devices,
            _folder: folder,
            _processes: processes,
        })
    }

    /// The addresses of all devices.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        let first = u32::from(FIRST);
        (first..first + self.devices).map(Ipv4Addr::from)
    }
}
