use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::{
    CauseView, DeviceView, LinkedInterfaceView, ManagementDomainView, MarkView, SurroundingsView,
};
use serde::Serialize;

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

/// A device as JSON: its fields, and what is around it.
#[derive(Serialize)]
struct ShownDevice {
    #[serde(flatten)]
    device: DeviceView,
    surroundings: SurroundingsView,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let device = client.device(self.hostname.as_str()).await?;
        let surroundings = client.surroundings(device.hostname.as_str()).await?;
        if global.json {
            output::json(&ShownDevice { device, surroundings });
            return Ok(ExitCode::SUCCESS);
        }
        for line in fields(&device, SystemClock.now()) {
            output::line(&line);
        }
        if !device.causes.is_empty() {
            output::line("");
            output::line("Why it is not synchronized:");
            for line in causes(&device.causes) {
                output::line(&format!("  {line}"));
            }
        }
        for line in around(&surroundings) {
            output::line(&line);
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What templates are told about the device, its links and the management domains that it serves.
fn around(device: &SurroundingsView) -> Vec<String> {
    let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    let mut lines = Vec::new();
    let mut section = |title: &str, rows: Vec<String>| {
        if !rows.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            lines.extend(rows.iter().map(|row| format!("  {row}")));
        }
    };
    let data = device.data.iter().map(|(key, value)| format!("{key}: {value}"));
    section("Data of the inventory:", data.collect());
    if !device.linked.is_empty() {
        let row = |link: &LinkedInterfaceView| {
            [
                link.interface.to_string(),
                text(link.address.clone()),
                link.neighbor.to_string(),
                link.neighbor_interface.to_string(),
                text(link.neighbor_address.clone()),
            ]
        };
        let rows: Vec<[String; 5]> = device.linked.iter().map(row).collect();
        let heads = ["INTERFACE", "ADDRESS", "NEIGHBOUR", "INTERFACE", "ADDRESS"];
        section("Links:", output::table(heads, &rows));
    }
    if !device.management_domains.is_empty() {
        let row = |domain: &ManagementDomainView| {
            let gateways = [&domain.ipv4_gw, &domain.ipv6_gw];
            let gateways: Vec<&str> = gateways.into_iter().flatten().map(String::as_str).collect();
            let member = |name: &Hostname, ip: Option<IpAddr>| {
                ip.map_or_else(|| name.to_string(), |ip| format!("{name} ({ip})"))
            };
            [
                domain.id.to_string(),
                text(domain.vlan.map(|vlan| vlan.to_string())),
                text(Some(gateways.join(", ")).filter(|gateways| !gateways.is_empty())),
                format!(
                    "{}, {}",
                    member(&domain.device_a, domain.device_a_ip),
                    member(&domain.device_b, domain.device_b_ip)
                ),
                text(domain.description.clone()),
            ]
        };
        let rows: Vec<[String; 5]> = device.management_domains.iter().map(row).collect();
        let heads = ["ID", "VLAN", "GATEWAYS", "DEVICES", "DESCRIPTION"];
        section("Management domains:", output::table(heads, &rows));
    }
    lines
}

/// Causes as a table.
pub(super) fn causes(causes: &[CauseView]) -> Vec<String> {
    let row = |cause: &CauseView| {
        [
            format!("{:.0}", cause.at),
            cause.cause.clone(),
            cause.event.clone(),
            cause.by.clone().unwrap_or_else(|| "-".to_owned()),
            format!("{} {}", cause.source, cause.id),
            cause.note.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    };
    let rows: Vec<[String; 6]> = causes.iter().map(row).collect();
    output::table(["AT", "CAUSE", "EVENT", "BY", "MESSAGE", "NOTE"], &rows)
}

fn fields(device: &DeviceView, now: Timestamp) -> Vec<String> {
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
        ("until", text(device.until.map(|until| end(until, now)))),
        ("synchronized", synchronized),
        (
            "generation",
            format!("{} of {}", device.synced_generation, device.desired_generation),
        ),
        ("marked", text(device.marked.as_ref().map(marked))),
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
            "controller",
            text(device.controller.as_ref().map(ToString::to_string)),
        ),
        (
            "groups",
            if groups.is_empty() {
                "-".to_owned()
            } else {
                groups.join(", ")
            },
        ),
        (
            "primary group",
            text(device.primary_group.as_ref().map(ToString::to_string)),
        ),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| format!("{name:<14}{value}"))
        .collect()
}

/// The intended end of a state, and whether it has passed.
pub(super) fn end(until: Timestamp, now: Timestamp) -> String {
    let passed = if until <= now { " (passed)" } else { "" };
    format!("{until}{passed}")
}

/// Who last marked the device as synchronized.
fn marked(mark: &MarkView) -> String {
    let by = mark.by.as_deref().unwrap_or("an unknown sender");
    let note = mark.note.as_ref().map(|note| format!(": {note}"));
    format!(
        "synchronized by {by} at {:.0}{}",
        mark.at,
        note.unwrap_or_default()
    )
}
