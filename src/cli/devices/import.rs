use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::InboxState;
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::results::{EventApplied, MessageRejected, RejectedDevice};
use lockstep_protocol::{DeviceType, Digest, Envelope, Hostname, Identity, counted};
use serde::Serialize;

use crate::cli::client::Client;
use crate::cli::{Global, UsageError, cvp, outcome, output, request};
use crate::config::Overrides;
use crate::inventory::{self, CvpTypes, Inventory};
use crate::roles;

/// How long the outcome of one message may take.
const WAIT: Duration = Duration::from_mins(2);

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
  lockstep devices import --from source --source main")]
pub(super) struct Import {
    /// File to import; for Nornir also the folder with hosts.yaml, for CloudVision the types of devices, such as `sw1: ACCESS` or
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

/// The result of an import.
#[derive(Debug, Default, Serialize)]
struct Summary {
    devices: usize,
    interfaces: usize,
    links: usize,
    management_domains: usize,
    messages: usize,
    /// The number of devices whose sync flag changed.
    flipped: u64,
    /// The number of devices that were not imported.
    rejected: usize,
    /// Those of them that a worker named, with the reasons.
    rejected_devices: Vec<RejectedDevice>,
    /// The number of links and management domains that were not imported.
    left_out: usize,
    /// The hostnames that those name and no device has.
    unknown_hostnames: BTreeSet<Hostname>,
    /// The devices that were marked as synchronized, so that their causes are closed.
    marked: Vec<Hostname>,
}

/// The most marked devices that are printed.
const MOST_NAMED: usize = 10;

impl Summary {
    fn line(&self) -> String {
        let devices = counted(self.devices, "device");
        let interfaces = counted(self.interfaces, "interface");
        let between = if self.links + self.management_domains + self.left_out == 0 {
            String::new()
        } else {
            format!(
                ", {} and {}",
                counted(self.links, "link"),
                counted(self.management_domains, "management domain")
            )
        };
        format!(
            "imported {devices} and {interfaces}{between}; sync flags changed: {}",
            self.flipped
        )
    }

    /// What was not imported.
    fn lacks(&self) -> Vec<String> {
        let devices = (self.rejected > 0).then(|| {
            let were = if self.rejected == 1 { "was" } else { "were" };
            format!("{} {were} not imported", counted(self.rejected, "device"))
        });
        let names: Vec<&str> = self
            .unknown_hostnames
            .iter()
            .take(MOST_NAMED)
            .map(Hostname::as_str)
            .collect();
        let unknown = (!names.is_empty()).then(|| {
            format!(
                "links and management domains name unknown devices; import these first: {}{}",
                names.join(", "),
                if self.unknown_hostnames.len() > names.len() {
                    ", …"
                } else {
                    ""
                }
            )
        });
        let between = match self.left_out {
            0 => None,
            1 => Some("1 link or management domain was not imported".to_owned()),
            many => Some(format!("{many} links or management domains were not imported")),
        };
        [devices, between, unknown].into_iter().flatten().collect()
    }

    /// Whose causes were closed.
    fn marked_line(&self) -> Option<String> {
        let names: Vec<&str> = self
            .marked
            .iter()
            .take(MOST_NAMED)
            .map(Hostname::as_str)
            .collect();
        let more = if self.marked.len() > names.len() {
            ", …"
        } else {
            ""
        };
        (!names.is_empty()).then(|| {
            format!(
                "marked {} as synchronized, with all causes until then: {}{more}",
                counted(self.marked.len(), "device"),
                names.join(", ")
            )
        })
    }

    /// Counts an applied message.
    fn add(&mut self, chunk: &InventoryImported, applied: Option<EventApplied>) {
        let (mut rejected, mut marked, mut unknown) = (Vec::new(), Vec::new(), BTreeSet::new());
        if let Some(applied) = applied {
            self.flipped += applied.flipped;
            (rejected, marked) = (applied.rejected, applied.marked);
            unknown = applied.unknown_hostnames.into_iter().collect();
        }
        let are_known = |names: [&Hostname; 2]| !names.into_iter().any(|name| unknown.contains(name));
        let links = chunk.links.iter();
        let links = links
            .filter(|link| are_known([&link.a.hostname, &link.b.hostname]))
            .count();
        let domains = chunk.management_domains.iter();
        let domains = domains
            .filter(|domain| are_known([&domain.device_a, &domain.device_b]))
            .count();
        self.links += links;
        self.management_domains += domains;
        self.left_out += chunk.links.len() + chunk.management_domains.len() - links - domains;
        self.unknown_hostnames.extend(unknown);
        let is_rejected = |name: &Hostname| rejected.iter().any(|device| device.hostname == *name);
        let interfaces = chunk.interfaces.iter();
        self.interfaces += interfaces
            .filter(|interface| !is_rejected(&interface.hostname))
            .count();
        self.devices += chunk.devices.len().saturating_sub(rejected.len());
        self.rejected += rejected.len();
        self.rejected_devices.extend(rejected);
        self.marked.extend(marked);
    }
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let inventory = self.read(global).await?;
        for warning in &inventory.warnings {
            output::note(&format!("warning: {warning}"));
        }
        if inventory.is_empty() {
            let source = match (&self.files[..], self.from) {
                ([file, ..], Format::Yaml | Format::Nornir | Format::Cnaas) => file.display().to_string(),
                (_, Format::Source) => "the source".to_owned(),
                _ => "the cluster".to_owned(),
            };
            anyhow::bail!("{source} holds no devices; expected {}", self.from.expected());
        }
        let chunks = inventory::chunks(inventory, self.mark_synchronized)?;
        let client = Client::new(global)?;
        let summary = import(&client, chunks).await?;
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
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    Ok((name, text))
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

/// A published message that has no outcome yet.
struct Sent {
    identity: Identity,
    digest: Digest,
    chunk: InventoryImported,
}

/// Imports controllers before their devices, and links and management domains last.
async fn import(client: &Client, chunks: Vec<InventoryImported>) -> anyhow::Result<Summary> {
    let (of_devices, third): (Vec<_>, Vec<_>) = chunks
        .into_iter()
        .partition(|chunk: &InventoryImported| !chunk.devices.is_empty());
    let names_none =
        |chunk: &InventoryImported| chunk.devices.iter().all(|device| device.controller.is_none());
    let (first, second): (Vec<_>, Vec<_>) = of_devices.into_iter().partition(names_none);
    let mut summary = Summary::default();
    for chunks in [first, second, third] {
        import_together(client, chunks, &mut summary).await?;
    }
    Ok(summary)
}

/// Publishes all messages, then waits for all outcomes, so that several workers share them.
async fn import_together(
    client: &Client,
    chunks: Vec<InventoryImported>,
    summary: &mut Summary,
) -> anyhow::Result<()> {
    let progress = output::Progress::new();
    let total = chunks.len();
    let mut sent = Vec::with_capacity(total);
    for chunk in chunks {
        progress.show(&format!("publishing message {} of {total}", sent.len() + 1));
        let envelope = Envelope::new(request::source(), SystemClock.now(), chunk.clone());
        let published = client.publish(envelope.encode()).await;
        published.with_context(|| {
            format!(
                "published only {} of {}; it is safe to import the file again",
                sent.len(),
                counted(total, "message")
            )
        })?;
        sent.push(Sent {
            digest: envelope.digest(),
            identity: envelope.identity,
            chunk,
        });
    }
    for (index, sent) in sent.iter().enumerate() {
        progress.show(&format!(
            "waiting for the outcome of message {} of {total}",
            index + 1
        ));
        let view = client.outcome(&sent.identity, sent.digest, WAIT).await?.ok_or_else(|| {
            anyhow!("there is no outcome after {} s; check that a worker is running. The broker has all messages, and it is safe to import the file again", WAIT.as_secs())
        })?;
        summary.messages += 1;
        match view.state {
            InboxState::Applied => {
                let before = summary.rejected_devices.len();
                summary.add(&sent.chunk, serde_json::from_value(view.result).ok());
                let rejected = &summary.rejected_devices[before..];
                if !rejected.is_empty() {
                    progress.show("");
                }
                for device in rejected {
                    output::error(&format!(
                        "{}: {}: {}",
                        device.hostname, device.code, device.reason
                    ));
                }
            }
            InboxState::Dead | InboxState::Refused => {
                summary.rejected += sent.chunk.devices.len();
                summary.left_out += sent.chunk.links.len() + sent.chunk.management_domains.len();
                progress.show("");
                output::error(&format!("{}: {}", range(&sent.chunk), rejection(&view)));
            }
        }
    }
    Ok(())
}

/// Why no device of a message was imported. The place in the message says nothing about the file.
fn rejection(view: &MessageView) -> String {
    match serde_json::from_value::<MessageRejected>(view.result.clone()) {
        Ok(rejected) => format!("{}: {}", rejected.code, rejected.reason),
        Err(_) => outcome::rejection(view),
    }
}

fn range(chunk: &InventoryImported) -> String {
    match chunk.devices.as_slice() {
        [] => format!(
            "{} and {}",
            counted(chunk.links.len(), "link"),
            counted(chunk.management_domains.len(), "management domain")
        ),
        [only] => only.hostname.to_string(),
        [first, .., last] => format!(
            "{} … {} ({} devices)",
            first.hostname,
            last.hostname,
            chunk.devices.len()
        ),
    }
}
