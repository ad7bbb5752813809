use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{DeviceState, DeviceType};

use super::show;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};
use crate::cli::{Global, output};

/// List all devices, or those that match
///
/// SINCE is when the device became unsynchronized, CAUSES why; `lockstep devices show HOST` has the details. Notes and intended ends of
/// states stand below the table. Columns: hostname, type, state, synchronized, since, causes, platform, management-ip, mac, serial,
/// vendor, model, os-version, groups, primary-group, note, until, desired, synced. The list is ordered by hostname.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices list
  lockstep devices list --unsynchronized --state MANAGED --type ACCESS
  lockstep devices list --unsynchronized --sort since --columns hostname,since,causes
  lockstep devices list --unsynchronized --watch
  lockstep devices list -o csv > devices.csv
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
    /// Only members of this group; DEFAULT has all devices
    #[arg(long)]
    group: Option<String>,
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<DeviceListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&DeviceListing {
            client: &client,
            filters: self.filters(),
        })
        .await
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let mut filters = Vec::new();
        if self.unsynchronized {
            filters.push(("synchronized", "false".to_owned()));
        }
        filters.extend(self.state.map(|state| ("state", state.to_string())));
        filters.extend(
            self.device_type
                .as_ref()
                .map(|kind| ("device_type", kind.to_string())),
        );
        filters.extend(self.group.clone().map(|group| ("group", group)));
        filters
    }
}

/// The devices of the console that match.
pub(in crate::cli) struct DeviceListing<'a> {
    pub(in crate::cli) client: &'a Client,
    pub(in crate::cli) filters: Vec<(&'static str, String)>,
}

impl Listing for DeviceListing<'_> {
    type Row = DeviceView;

    const NOUN: &'static str = "device";

    const COLUMNS: &'static [Column<DeviceView>] = &[
        Column::new("hostname", |device| Cell::text(&device.hostname)),
        Column::new("type", |device| Cell::text(&device.device_type)),
        Column::new("state", |device| Cell::text(device.state)),
        Column::new("synchronized", |device| Cell::Boolean(device.synchronized)),
        Column::new("since", |device| Cell::time(device.unsynchronized_since)),
        Column::shrinking("causes", |device| Cell::text(causes(device))),
        Column::wide("platform", |device| Cell::maybe(device.platform.as_ref())),
        Column::wide("management-ip", |device| Cell::maybe(device.management_ip)),
        Column::wide("mac", |device| Cell::maybe(device.mac.as_ref())),
        Column::wide("serial", |device| Cell::maybe(device.serial.as_ref())),
        Column::wide("vendor", |device| Cell::maybe(device.vendor.as_ref())),
        Column::wide("model", |device| Cell::maybe(device.model.as_ref())),
        Column::wide("os-version", |device| Cell::maybe(device.os_version.as_ref())),
        Column::wide("groups", |device| Cell::text(groups(device))),
        Column::wide("primary-group", |device| {
            Cell::maybe(device.primary_group.as_ref())
        }),
        Column::wide("note", |device| Cell::maybe(device.note.as_ref())),
        Column::wide("until", |device| Cell::time(device.until)),
        Column::wide("desired", |device| Cell::count(device.desired_generation)),
        Column::wide("synced", |device| Cell::count(device.synced_generation)),
    ];

    const ORDER: &'static str = "hostname";

    fn below(rows: &[DeviceView]) -> Vec<String> {
        below(rows, SystemClock.now())
    }

    fn key(row: &DeviceView) -> String {
        row.id.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<DeviceView>> {
        let mut query = self.filters.clone();
        query.extend(request.parameters("after"));
        let page = self.client.devices(&query).await?;
        Ok(Page {
            rows: page.devices,
            next: page.next.map(|hostname| hostname.to_string()),
            total: page.total,
        })
    }
}

/// The most devices whose note and end stand below a table.
const MOST_NOTES: usize = 10;

/// The notes and intended ends of states, those whose end has passed first. Pure.
fn below(rows: &[DeviceView], now: Timestamp) -> Vec<String> {
    let has_passed = |device: &DeviceView| device.until.is_some_and(|until| until <= now);
    let noted = |device: &&DeviceView| device.note.is_some() || device.until.is_some();
    let mut noted: Vec<&DeviceView> = rows.iter().filter(noted).collect();
    noted.sort_by_key(|device| !has_passed(device));
    let line = |device: &&DeviceView| {
        let until = device
            .until
            .map(|until| format!(" until {}", show::end(until, now)));
        let note = device.note.as_ref().map(|note| format!(": {note}"));
        let (until, note) = (until.unwrap_or_default(), note.unwrap_or_default());
        format!("{} {}{until}{note}", device.hostname, device.state)
    };
    let mut lines: Vec<String> = noted.iter().take(MOST_NOTES).map(line).collect();
    if noted.len() > MOST_NOTES {
        let more = noted.len() - MOST_NOTES;
        lines.push(format!(
            "… and {more} more with a note or an end; --columns hostname,state,until,note shows them"
        ));
    }
    if !lines.is_empty() {
        lines.insert(0, String::new());
    }
    lines
}

/// The reasons why a device is not synchronized, each once.
fn causes(device: &DeviceView) -> String {
    let causes: BTreeSet<&str> = device.causes.iter().map(|cause| cause.cause.as_str()).collect();
    let causes: Vec<&str> = causes.into_iter().collect();
    causes.join(",")
}

fn groups(device: &DeviceView) -> String {
    let groups: Vec<&str> = device
        .groups
        .iter()
        .map(lockstep_protocol::GroupName::as_str)
        .collect();
    groups.join(",")
}

/// Prints devices as a table.
pub(in crate::cli) fn show(devices: &[DeviceView]) {
    let plan: Plan<DeviceListing<'_>> = Plan::default();
    output::lines(&plan.table(devices), None);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device(name: &str, note: Option<&str>, until: Option<&str>) -> DeviceView {
        let device = json!({
            "id": 1, "hostname": name, "device_type": "ACCESS", "platform": null, "state": "UNMANAGED", "note": note, "until": until,
            "synchronized": true, "unsynchronized_since": null, "desired_generation": 1, "synced_generation": 1,
            "management_ip": null, "mac": null, "serial": null, "vendor": null, "model": null, "os_version": null, "groups": [],
            "causes": [],
        });
        serde_json::from_value(device).unwrap()
    }

    #[test]
    fn notes_and_ends_stand_below_the_table_and_those_that_passed_come_first() {
        let now: Timestamp = "2026-02-03T04:05:06Z".parse().unwrap();
        let rows = [
            device("sw1", None, None),
            device("sw2", Some("line card"), None),
            device("sw3", Some("rebuilt"), Some("2026-02-03T04:05:06Z")),
            device("sw4", None, Some("2026-03-01T00:00:00Z")),
        ];
        let expected = [
            "",
            "sw3 UNMANAGED until 2026-02-03T04:05:06Z (passed): rebuilt",
            "sw2 UNMANAGED: line card",
            "sw4 UNMANAGED until 2026-03-01T00:00:00Z",
        ];
        assert_eq!(below(&rows, now), expected);
        assert!(below(&rows[..1], now).is_empty());
        let many: Vec<DeviceView> = (0..12)
            .map(|n| device(&format!("sw{n}"), Some("x"), None))
            .collect();
        let lines = below(&many, now);
        assert!(
            lines.len() == 12 && lines[11].starts_with("… and 2 more"),
            "{lines:?}"
        );
    }
}
