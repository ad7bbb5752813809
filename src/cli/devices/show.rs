use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::DeviceView;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show a device, and why it is not synchronized
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices show sw1
  lockstep devices show sw1 --json | jq -r '.causes[].cause'")]
pub(super) struct Show {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let device = Client::new(global)?.device(self.hostname.as_str()).await?;
        if global.json {
            output::json(&device);
            return Ok(ExitCode::SUCCESS);
        }
        for line in fields(&device) {
            output::line(&line);
        }
        if !device.causes.is_empty() {
            let row = |cause: &lockstep_protocol::rest::CauseView| {
                let by = cause.by.clone().unwrap_or_else(|| "-".to_owned());
                [
                    format!("{:.0}", cause.at),
                    cause.cause.clone(),
                    cause.event.clone(),
                    by,
                    format!("{} {}", cause.source, cause.id),
                ]
            };
            let rows: Vec<[String; 5]> = device.causes.iter().map(row).collect();
            output::line("");
            output::line("Why it is not synchronized:");
            for line in output::table(["AT", "CAUSE", "EVENT", "BY", "MESSAGE"], &rows) {
                output::line(&format!("  {line}"));
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn fields(device: &DeviceView) -> Vec<String> {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let groups: Vec<&str> = device
        .groups
        .iter()
        .map(lockstep_protocol::GroupName::as_str)
        .collect();
    let synchronized = match device.unsynchronized_since {
        Some(since) => format!("no, since {since:.0}"),
        None if device.synchronized => "yes".to_owned(),
        None => "no".to_owned(),
    };
    let pairs = [
        ("hostname", device.hostname.to_string()),
        ("device type", device.device_type.to_string()),
        ("state", device.state.to_string()),
        ("note", text(device.note.clone())),
        ("until", text(device.until.map(|until| until.to_string()))),
        ("synchronized", synchronized),
        (
            "generation",
            format!("{} of {}", device.synced_generation, device.desired_generation),
        ),
        ("platform", text(device.platform.clone())),
        (
            "management ip",
            text(device.management_ip.map(|ip| ip.to_string())),
        ),
        ("mac", text(device.mac.clone().map(String::from))),
        ("serial", text(device.serial.clone().map(String::from))),
        ("vendor", text(device.vendor.clone())),
        ("model", text(device.model.clone())),
        ("os version", text(device.os_version.clone())),
        (
            "groups",
            if groups.is_empty() {
                "-".to_owned()
            } else {
                groups.join(", ")
            },
        ),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| format!("{name:<14}{value}"))
        .collect()
}
