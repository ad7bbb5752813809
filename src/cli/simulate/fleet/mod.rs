mod configurations;
mod foreign;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep_protocol::counted;
use lockstep_simulators::fleet::{Behaviour, Device, Dialect, FleetSimulator, Options};
use serde_json::json;

use self::foreign::Foreign;
use super::{Global, output};
use crate::lifecycle::Lifecycle;

/// Run simulated Arista EOS devices that answer eAPI, until Ctrl-C
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate fleet --devices 500 --latency 100 --faulty 5
  lockstep simulate fleet --devices 20 --inventory-out devices.yml
  lockstep simulate fleet --devices 3 --release 4.32.2F --session leaf00002=friday
  lockstep simulate fleet --devices 3 --configurations rendered

Devices have configuration sessions, as real ones: change a device by hand with eAPI, as the command that is shown at the start does;
\"reload now\" restarts a device with its startup configuration")]
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
    /// Folder with the configurations that devices begin with, in files HOSTNAME.cfg; other devices have a small one
    #[arg(long, value_name = "FOLDER")]
    configurations: Option<PathBuf>,
    /// Release of EOS; since 4.32, a commit that waits for its confirmation is shown differently
    #[arg(long, value_name = "RELEASE", default_value = "4.30.3M")]
    release: String,
    /// Device on which somebody else has a configuration session that is an hour old, and the name of the session
    #[arg(long = "session", value_name = "HOST=NAME")]
    sessions: Vec<Foreign>,
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
        let device = |number| Device {
            version: self.release.clone(),
            ..Device::numbered(number)
        };
        let devices: Vec<Device> = (1..=self.devices).map(device).collect();
        let fleet = FleetSimulator::start(devices, options.clone()).await?;
        let configured = self.configure(&fleet)?;
        self.break_the_last(&fleet).await;
        write(&ca_file, fleet.ca_pem())?;
        if let Some(file) = &self.inventory_out {
            write(file, &inventory(&fleet))?;
        }
        self.show_start(&fleet, &options, &ca_file, configured, global.json);
        lifecycle.stop.cancelled().await;
        show_end(&fleet);
        Ok(ExitCode::SUCCESS)
    }

    /// Gives devices their configurations and sessions, and returns the number of those with a configuration from the folder.
    fn configure(&self, fleet: &FleetSimulator) -> anyhow::Result<usize> {
        let dialect = Dialect::of(&self.release)
            .with_context(|| format!("{:?} is not a release of EOS, such as 4.30.3M", self.release))?;
        for index in 0..self.devices as usize {
            fleet.tune(index, |knobs| knobs.dialect = dialect);
        }
        let configured = match &self.configurations {
            None => 0,
            Some(folder) => configurations::load(fleet, folder)?,
        };
        for session in &self.sessions {
            session.open(fleet)?;
        }
        Ok(configured)
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

    fn show_start(
        &self,
        fleet: &FleetSimulator,
        options: &Options,
        ca_file: &Path,
        configured: usize,
        json: bool,
    ) {
        let addresses = fleet.addresses();
        let (username, password) = (&options.username, &options.password);
        let (Some(first), Some(last)) = (addresses.first(), addresses.last()) else {
            return;
        };
        if json {
            output::json(&json!({
                "addresses": addresses, "username": username, "password": password, "ca_file": ca_file,
                "devices": self.devices, "faulty": self.faulty.min(self.devices),
                "configured": configured,
            }));
            return;
        }
        let faulty = self.faulty.min(self.devices);
        let ca_file = ca_file.display();
        let configurations = match &self.configurations {
            None => String::new(),
            Some(folder) => format!(
                "; {} from {}",
                counted(configured, "configuration"),
                folder.display()
            ),
        };
        let mut sessions = String::new();
        for session in &self.sessions {
            // Writing to a string cannot fail.
            let _ = write!(sessions, "\n{session}");
        }
        let request = |commands: &str| {
            format!(
                "curl --cacert {ca_file} -u {username}:{password} https://{first}/command-api \\\n    \
                 -d '{{\"jsonrpc\": \"2.0\", \"method\": \"runCmds\", \"id\": 1, \"params\": {{\"version\": 1, \"cmds\": [{commands}]}}}}'"
            )
        };
        output::document(&format!(
            "{} simulated devices listen at {first} to {last}; {faulty} of them have a fault{configurations}{sessions}

In another terminal:
  {}

Change a device by hand:
  {}

Press Ctrl-C to stop.",
            self.devices,
            request("\"show version\""),
            request("\"enable\", \"configure\", \"interface Ethernet1\", \"description by hand\""),
        ));
    }
}

/// Shows what the devices received and did.
fn show_end(fleet: &FleetSimulator) {
    let (requests, peak) = (fleet.requests(), fleet.peak_concurrency());
    let totals = (0..fleet.addresses().len()).map(|index| fleet.totals(index));
    let (mut commits, mut confirms, mut rollbacks) = (0, 0, 0);
    for totals in totals {
        commits += totals.commits;
        confirms += totals.confirms;
        rollbacks += totals.rollbacks;
    }
    let commits = counted(commits, "commit");
    output::note(&format!(
        "received {requests} requests, at most {peak} at once; {commits}, {confirms} confirmed, {rollbacks} rolled back"
    ));
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
