use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{DeviceState, DeviceType};

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List all devices, or those that match
///
/// SINCE is when the device became unsynchronized, CAUSES why; `lockstep devices show HOST` has the details.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices list
  lockstep devices list --unsynchronized --state MANAGED --type ACCESS
  lockstep devices list --json | jq -r '.[].hostname'")]
pub(super) struct List {
    /// Only devices that are not synchronized
    #[arg(long)]
    unsynchronized: bool,
    /// Only devices in this state, such as MANAGED
    #[arg(long)]
    state: Option<DeviceState>,
    /// Only devices of this type, such as ACCESS
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<DeviceType>,
    /// Only members of this group
    #[arg(long)]
    group: Option<String>,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let devices = all(&Client::new(global)?, self.query()).await?;
        if global.json {
            output::json(&devices);
            return Ok(ExitCode::SUCCESS);
        }
        show(&devices);
        if devices.is_empty() {
            output::note("no device matches");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", "1000".to_owned())];
        if self.unsynchronized {
            query.push(("synchronized", "false".to_owned()));
        }
        query.extend(self.state.map(|state| ("state", state.to_string())));
        query.extend(self.device_type.map(|kind| ("device_type", kind.to_string())));
        query.extend(self.group.clone().map(|group| ("group", group)));
        query
    }
}

/// The most devices of a list.
const MOST: usize = 1_000_000;

/// All devices that match a query, from all pages.
pub(in crate::cli) async fn all(
    client: &Client,
    mut query: Vec<(&'static str, String)>,
) -> anyhow::Result<Vec<DeviceView>> {
    let mut devices = Vec::new();
    loop {
        let page = client.devices(&query).await?;
        let ends = page.devices.is_empty() || devices.len() >= MOST;
        devices.extend(page.devices);
        let Some(next) = page.next else {
            return Ok(devices);
        };
        if ends {
            anyhow::bail!(
                "the list goes on after {} devices; is this the address of a Lockstep console?",
                devices.len()
            );
        }
        query.retain(|(name, _)| *name != "after");
        query.push(("after", next.to_string()));
    }
}

/// Prints devices as a table.
pub(in crate::cli) fn show(devices: &[DeviceView]) {
    let rows: Vec<[String; 6]> = devices.iter().map(row).collect();
    let header = ["HOSTNAME", "TYPE", "STATE", "SYNCHRONIZED", "SINCE", "CAUSES"];
    for line in output::table(header, &rows) {
        output::line(&line);
    }
}

fn row(device: &DeviceView) -> [String; 6] {
    let causes: BTreeSet<&str> = device.causes.iter().map(|cause| cause.cause.as_str()).collect();
    let causes: Vec<&str> = causes.into_iter().collect();
    [
        device.hostname.to_string(),
        device.device_type.to_string(),
        device.state.to_string(),
        if device.synchronized { "yes" } else { "no" }.to_owned(),
        device
            .unsynchronized_since
            .map(|since| format!("{since:.0}"))
            .unwrap_or_default(),
        causes.join(","),
    ]
}
