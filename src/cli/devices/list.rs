use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{DeviceState, DeviceType};

use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};
use crate::cli::{Global, output};

/// List all devices, or those that match
///
/// SINCE is when the device became unsynchronized, CAUSES why; `lockstep devices show HOST` has the details. Columns: hostname, type,
/// state, synchronized, since, causes, platform, management-ip, mac, serial, vendor, model, os-version, groups, primary-group, note, until,
/// desired, synced. The list is ordered by hostname.
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
