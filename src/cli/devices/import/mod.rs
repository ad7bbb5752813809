mod publish;
mod repeat;
mod summary;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use lockstep_protocol::DeviceType;
use lockstep_protocol::events::InventoryImported;

use crate::cli::client::Client;
use crate::cli::{Global, UsageError, cvp, output};
use crate::config::{Overrides, read_duration};
use crate::inventory::{self, CvpTypes, Inventory};
use crate::roles;

/// Import devices from a file, and wait until all are stored
///
/// Creates new devices and updates existing ones. Devices and fields that are not in the file stay unchanged. A YAML file is a list of
/// entries such as `- {hostname: sw1, device_type: ACCESS}`. Optional fields are platform, state, note, until, synchronized,
/// `management_ip`, mac, serial, vendor, model, `os_version`, controller (the hostname of a device that is connected to instead),
/// groups, interfaces (a list of names, or of {name, configuration}), and data (a map that templates read, such as `{infra_ip:
/// 10.199.1.1}`; it replaces that of an earlier import, and everybody who may read devices may read it). With links and management
/// domains the file is a map of devices, links (`- {a: {hostname: sw1, interface: Ethernet1, address: 10.0.0.0/31}, b: …}`) and
/// `management_domains` (`- {id: 1, device_a: sw1, device_b: sw2, ipv4_gw: 10.0.6.1/24, vlan: 600}`). The output of `lockstep devices
/// list --json` is such a list. A device whose MAC address or serial number belongs to another one, or whose controller cannot be one,
/// is left out and named; the others are imported, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices import fleet.yml
  lockstep devices import fleet.yml --mark-synchronized
  lockstep devices import inventory/ --from nornir
  lockstep devices import inventory/hosts.yaml --from nornir --default-type ACCESS
  lockstep devices import devices.json --from cnaas --mark-synchronized
  lockstep devices import devices.json linknets.json mgmtdomains.json --from cnaas
  lockstep devices import --from cvp --cluster oslo --default-type ACCESS
  lockstep devices import types.yml --from cvp
  lockstep devices import --from source --source main
  lockstep devices import /srv/inventory --from nornir --every 5m")]
pub(super) struct Import {
    /// File to import; for Nornir also the folder with hosts.yaml, or its config.yaml; for CloudVision the types of devices, such as `sw1: ACCESS` or
    /// `core-*: CORE`; for CNaaS NMS several files, such as devices, linknets and mgmtdomains
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Format of the file
    #[arg(long, default_value = "yaml")]
    from: Format,
    /// Type of devices without one in a Nornir inventory, and of new devices of `CloudVision`, such as ACCESS
    #[arg(long, value_name = "TYPE")]
    default_type: Option<DeviceType>,
    /// `CloudVision` cluster in the configuration [default: that of `CVP_HOSTNAME`, else the only one]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// NetBox or Nautobot in the configuration, `[sources.NAME]` [default: the only one]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Mark devices that exist as synchronized if the file says so, which closes their causes; otherwise existing devices keep their
    /// sync flags
    #[arg(long)]
    mark_synchronized: bool,
    /// Keep running: read the inventory again at this interval, such as 5m, and import it when it changed. Devices that are no longer in
    /// it stay and are named
    #[arg(long, value_name = "INTERVAL", value_parser = interval)]
    every: Option<Duration>,
}

/// Reads an interval.
fn interval(text: &str) -> Result<Duration, String> {
    let bounds = Duration::from_secs(1)..=Duration::from_hours(24);
    let interval = read_duration(text).filter(|interval| bounds.contains(interval));
    interval.ok_or_else(|| "write an interval from 1s to 1d, such as 30s, 5m or 1h".to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A YAML list of devices, or a map of devices, links and `management_domains`
    Yaml,
    /// A Nornir `SimpleInventory`
    Nornir,
    /// Dumps of CNaaS NMS: the answers of `GET /api/v1.0/devices`, `/linknets` and `/mgmtdomains`
    Cnaas,
    /// The devices of a `CloudVision` cluster, which are requested from it
    Cvp,
    /// The devices, interfaces and cables of a NetBox or Nautobot, which are requested from it
    Source,
}

impl Format {
    /// What a file of this format contains.
    fn expected(self) -> &'static str {
        match self {
            Self::Yaml => "a list such as `- {hostname: sw1, device_type: ACCESS}`",
            Self::Nornir => "a hosts.yaml with hosts such as `sw1: {data: {device_type: ACCESS}}`",
            Self::Cnaas => "the devices that CNaaS NMS has",
            Self::Cvp => "devices that CloudVision has provisioned",
            Self::Source => "devices whose role has a device type",
        }
    }
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Some(every) = self.every {
            return repeat::run(&self, global, every).await;
        }
        let (chunks, warnings) = self.messages(global).await?;
        warn(&warnings);
        let summary = publish::import(&Client::new(global)?, chunks).await?;
        if global.json {
            output::json(&summary);
        } else {
            output::line(&summary.line());
            summary.marked_line().iter().for_each(|line| output::line(line));
        }
        for line in summary.lacks() {
            output::error(&line);
        }
        let is_whole = summary.rejected + summary.left_out == 0;
        Ok(if is_whole {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }

    /// Reads the inventory. Returns the messages that import it, and warnings.
    async fn messages(&self, global: &Global) -> anyhow::Result<(Vec<InventoryImported>, Vec<String>)> {
        let mut inventory = self.read(global).await?;
        if inventory.is_empty() {
            let source = match (&self.files[..], self.from) {
                ([file, ..], Format::Yaml | Format::Nornir | Format::Cnaas) => file.display().to_string(),
                (_, Format::Source) => "the source".to_owned(),
                _ => "the cluster".to_owned(),
            };
            anyhow::bail!("{source} holds no devices; expected {}", self.from.expected());
        }
        let warnings = std::mem::take(&mut inventory.warnings);
        Ok((inventory::chunks(inventory, self.mark_synchronized)?, warnings))
    }

    async fn read(&self, global: &Global) -> anyhow::Result<Inventory> {
        let usage = |problem: &str| anyhow::Error::from(UsageError(problem.to_owned()));
        if self.default_type.is_some() && matches!(self.from, Format::Yaml | Format::Cnaas | Format::Source) {
            return Err(usage("--default-type needs --from nornir or --from cvp"));
        }
        if self.cluster.is_some() && self.from != Format::Cvp {
            return Err(usage("--cluster needs --from cvp"));
        }
        if self.source.is_some() && self.from != Format::Source {
            return Err(usage("--source needs --from source"));
        }
        if !self.files.is_empty() && self.from == Format::Source {
            return Err(usage("--from source takes no FILE; name the source by --source"));
        }
        if self.files.len() > 1 && self.from != Format::Cnaas {
            return Err(usage("name one FILE; only --from cnaas takes several"));
        }
        let file = || {
            let missing = "name the FILE to import; only --from cvp and --from source need none";
            self.files.first().ok_or_else(|| usage(missing))
        };
        match self.from {
            Format::Yaml => {
                let (name, text) = text_of(file()?)?;
                Ok(inventory::read_yaml(&name, &text)?)
            }
            Format::Nornir => {
                let types = global.configuration(Overrides::default())?.devices.types;
                Ok(inventory::read_nornir(
                    file()?,
                    self.default_type.clone(),
                    &types,
                )?)
            }
            Format::Cnaas => {
                file()?;
                let texts = self.files.iter().map(|file| text_of(file));
                Ok(inventory::read_cnaas(
                    &texts.collect::<anyhow::Result<Vec<_>>>()?,
                )?)
            }
            Format::Cvp => self.read_cvp(global).await,
            Format::Source => self.read_source(global).await,
        }
    }

    /// Asks NetBox or Nautobot for its devices, interfaces and cables.
    async fn read_source(&self, global: &Global) -> anyhow::Result<Inventory> {
        let sources = global.configuration(Overrides::default())?.sources;
        let known = || sources.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let named = match (&self.source, sources.len()) {
            (Some(name), _) => sources.get_key_value(name),
            (None, 1) => sources.first_key_value(),
            (None, _) => None,
        };
        let (name, source) = named.ok_or_else(|| {
            UsageError(format!(
                "name one of the sources of the configuration by --source: {}",
                known()
            ))
        })?;
        let poll = source
            .poll
            .as_ref()
            .with_context(|| format!("sources.{name} has no url and token; set them"))?;
        let client = roles::source_client(name, source, poll)?;
        let progress = output::Progress::new();
        let (system, rules) = (source.system, &source.rules);
        let told = |what: &'static str| {
            let progress = &progress;
            move |count: usize| progress.show(&format!("read {count} {what}"))
        };
        let objects = inventory::DcimObjects {
            devices: client.objects("dcim/devices", told("devices")).await?,
            interfaces: client.objects("dcim/interfaces", told("interfaces")).await?,
            cables: client.objects("dcim/cables", told("cables")).await?,
        };
        Ok(inventory::read_dcim(system, rules, objects))
    }

    /// Asks CloudVision for its devices. Those that exist keep their types unless the file names them.
    async fn read_cvp(&self, global: &Global) -> anyhow::Result<Inventory> {
        let mut types = CvpTypes {
            default: self.default_type.clone(),
            ..CvpTypes::default()
        };
        if let Some(file) = self.files.first() {
            let (name, text) = text_of(file)?;
            types.by_name = CvpTypes::read(&name, &text)?;
        }
        let config = cvp::configured(global, self.cluster.clone())?;
        types.existing = existing_types(&Client::new(global)?).await?;
        let cluster = roles::cvp_client(&config)?;
        let devices = cluster.devices().await;
        cluster.log_out().await;
        let name = self.cluster.as_deref().unwrap_or("CloudVision");
        Ok(inventory::read_cvp(name, devices?, &types)?)
    }
}

/// A file as text, with its name for problems.
fn text_of(file: &Path) -> anyhow::Result<(String, String)> {
    let name = file.display().to_string();
    Ok((name, inventory::read_text(file)?))
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        output::note(&format!("warning: {warning}"));
    }
}

/// The types of all devices in Lockstep, by hostname in lower case.
async fn existing_types(client: &Client) -> anyhow::Result<HashMap<String, DeviceType>> {
    let mut types = HashMap::new();
    let mut after = String::new();
    loop {
        let query = [("limit", "1000".to_owned()), ("after", after)];
        let page = client.devices(&query).await?;
        let devices = page.devices.into_iter();
        types.extend(devices.map(|device| (device.hostname.as_str().to_lowercase(), device.device_type)));
        match page.next {
            Some(next) => after = next.to_string(),
            None => return Ok(types),
        }
    }
}
