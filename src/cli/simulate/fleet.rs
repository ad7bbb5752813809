use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};
use serde_json::json;

use super::{Global, output};
use crate::lifecycle::Lifecycle;

/// Run simulated Arista EOS devices that answer eAPI, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate fleet --devices 500 --latency 100 --faulty 5
  lockstep simulate fleet --devices 20 --inventory-out devices.yml")]
pub(super) struct Fleet {
    /// Address and port of the first device, with TLS; each further device has the next address, and the same port
    #[arg(long, value_name = "ADDRESS", default_value = "127.64.0.1:8443")]
    listen: SocketAddr,
    /// Number of devices
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    devices: u32,
    /// Duration of each request in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// Number of devices with a fault: the last ones; in turn they refuse connections, do not answer, refuse the password, answer
    /// garbage, and close the connection instead of answering
    #[arg(long, value_name = "N", default_value_t = 0)]
    faulty: u32,
    /// File to write the certificate of their authority to [default: a temporary file]
    #[arg(long, value_name = "FILE")]
    ca_out: Option<PathBuf>,
    /// File to write the devices to, for `lockstep devices import`
    #[arg(long, value_name = "FILE")]
    inventory_out: Option<PathBuf>,
}

/// The faults that devices have in turn. `None`: the device refuses connections.
const FAULTS: [Option<Behaviour>; 5] = [
    None,
    Some(Behaviour::Silent),
    Some(Behaviour::RejectsLogin),
    Some(Behaviour::Garbage),
    Some(Behaviour::LosesAnswer),
];

impl Fleet {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        // The simulator keeps its state in memory, so there is nothing to finish.
        let lifecycle = Lifecycle::start(Duration::ZERO)?;
        let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
        let ca_file = self.ca_out.clone();
        let ca_file = ca_file.unwrap_or_else(|| folder.path().join("fleet-ca.pem"));
        let options = Options {
            listen: self.listen,
            ..Options::default()
        };
        let devices: Vec<Device> = (1..=self.devices).map(Device::numbered).collect();
        let fleet = FleetSimulator::start(devices, options.clone()).await?;
        self.break_the_last(&fleet).await;
        write(&ca_file, fleet.ca_pem())?;
        if let Some(file) = &self.inventory_out {
            write(file, &inventory(&fleet))?;
        }
        self.show_start(&fleet, &options, &ca_file, global.json);
        lifecycle.stop.cancelled().await;
        let (requests, peak) = (fleet.requests(), fleet.peak_concurrency());
        output::note(&format!("received {requests} requests, at most {peak} at once"));
        Ok(ExitCode::SUCCESS)
    }

    async fn break_the_last(&self, fleet: &FleetSimulator) {
        let latency = Duration::from_millis(self.latency);
        let count = self.devices as usize;
        for index in 0..count {
            fleet.edit(index, |device| device.latency = latency);
        }
        let healthy = count.saturating_sub(self.faulty as usize);
        for (index, fault) in (healthy..count).zip(FAULTS.into_iter().cycle()) {
            match fault {
                None => fleet.take_down(index).await,
                Some(behaviour) => fleet.behave(index, behaviour),
            }
        }
    }

    fn show_start(&self, fleet: &FleetSimulator, options: &Options, ca_file: &Path, json: bool) {
        let addresses = fleet.addresses();
        let (username, password) = (&options.username, &options.password);
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else {
            return;
        };
        if json {
            output::json(&json!({
                "addresses": addresses, "username": username, "password": password, "ca_file": ca_file,
                "devices": self.devices, "faulty": self.faulty.min(self.devices),
            }));
            return;
        }
        let faulty = self.faulty.min(self.devices);
        let ca_file = ca_file.display();
        output::document(&format!(
            "{} simulated devices listen at {first} to {last}; {faulty} of them have a fault

In another terminal:
  curl --cacert {ca_file} -u {username}:{password} https://{first}/command-api \\
    -d '{{\"jsonrpc\": \"2.0\", \"method\": \"runCmds\", \"id\": 1, \"params\": {{\"version\": 1, \"cmds\": [\"show version\"]}}}}'

Press Ctrl-C to stop.",
            self.devices
        ));
    }
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// The devices as `devices import` reads them.
fn inventory(fleet: &FleetSimulator) -> String {
    let mut text = String::new();
    for (index, address) in fleet.addresses().iter().enumerate() {
        let ip = address.ip();
        // Writing to a string cannot fail.
        let _ = fleet.edit(index, |Device { hostname, serial, system_mac, .. }| {
            writeln!(
                text,
                "- {{hostname: {hostname}, device_type: ACCESS, platform: eos, state: MANAGED, management_ip: {ip}, \
                 serial: {serial}, mac: \"{system_mac}\"}}"
            )
        });
    }
    text
}
