use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::InboxState;
use lockstep_protocol::events::InventoryImported;
use lockstep_protocol::results::EventApplied;
use lockstep_protocol::{DeviceType, Digest, Envelope, Identity, counted};
use serde::Serialize;

use crate::cli::client::Client;
use crate::cli::{Global, UsageError, outcome, output, request};
use crate::inventory::{self, Inventory};

/// How long the outcome of one message may take.
const WAIT: Duration = Duration::from_mins(2);

/// Import devices from a file, and wait until all are stored
///
/// Creates new devices and updates existing ones. Devices and fields that are not in the file stay unchanged. A YAML file is a list of
/// entries such as `- {hostname: sw1, device_type: ACCESS}`. Optional fields are platform, state, synchronized, `management_ip`, mac,
/// serial, vendor, model, `os_version`, groups, and interfaces (a list of names, or of {name, configuration}).
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices import fleet.yml
  lockstep devices import inventory/ --from nornir
  lockstep devices import inventory/hosts.yaml --from nornir --default-type ACCESS")]
pub(super) struct Import {
    /// File to import; for Nornir also the folder with hosts.yaml
    file: PathBuf,
    /// Format of the file
    #[arg(long, default_value = "yaml")]
    from: Format,
    /// Type of devices without one in a Nornir inventory, such as ACCESS
    #[arg(long, value_name = "TYPE")]
    default_type: Option<DeviceType>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A YAML list of devices
    Yaml,
    /// A Nornir `SimpleInventory`
    Nornir,
}

/// The result of an import.
#[derive(Debug, Default, Serialize)]
struct Summary {
    devices: usize,
    interfaces: usize,
    messages: usize,
    /// The number of devices whose sync flag changed.
    flipped: u64,
    /// The number of devices in rejected messages.
    rejected: usize,
}

impl Summary {
    fn line(&self) -> String {
        let devices = counted(self.devices, "device");
        let interfaces = counted(self.interfaces, "interface");
        format!(
            "imported {devices} and {interfaces}; sync flags changed: {}",
            self.flipped
        )
    }
}

impl Import {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let inventory = self.read()?;
        for warning in &inventory.warnings {
            output::note(&format!("warning: {warning}"));
        }
        let chunks = inventory::chunks(inventory.entries)?;
        let client = Client::new(global)?;
        let summary = import(&client, chunks).await?;
        if global.json {
            output::json(&summary);
        } else {
            output::line(&summary.line());
        }
        if summary.rejected == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        output::error(&format!("not imported: {}", counted(summary.rejected, "device")));
        Ok(ExitCode::FAILURE)
    }

    fn read(&self) -> anyhow::Result<Inventory> {
        match self.from {
            Format::Yaml if self.default_type.is_some() => {
                Err(UsageError("--default-type needs --from nornir".to_owned()).into())
            }
            Format::Yaml => read_yaml(&self.file),
            Format::Nornir => Ok(inventory::read_nornir(&self.file, self.default_type)?),
        }
    }
}

fn read_yaml(file: &Path) -> anyhow::Result<Inventory> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    Ok(inventory::read_yaml(&name, &text)?)
}

/// A published message that has no outcome yet.
struct Sent {
    identity: Identity,
    digest: Digest,
    chunk: InventoryImported,
}

/// Publishes all messages, then waits for all outcomes, so that several workers share them.
async fn import(client: &Client, chunks: Vec<InventoryImported>) -> anyhow::Result<Summary> {
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
    let mut summary = Summary::default();
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
                summary.devices += sent.chunk.devices.len();
                summary.interfaces += sent.chunk.interfaces.len();
                let applied: Option<EventApplied> = serde_json::from_value(view.result).ok();
                summary.flipped += applied.map_or(0, |applied| applied.flipped);
            }
            InboxState::Dead => {
                summary.rejected += sent.chunk.devices.len();
                progress.show("");
                output::error(&format!("{}: {}", range(&sent.chunk), outcome::rejection(&view)));
            }
        }
    }
    Ok(summary)
}

fn range(chunk: &InventoryImported) -> String {
    match chunk.devices.as_slice() {
        [] => "no device".to_owned(),
        [only] => only.hostname.to_string(),
        [first, .., last] => format!(
            "{} … {} ({} devices)",
            first.hostname,
            last.hostname,
            chunk.devices.len()
        ),
    }
}
