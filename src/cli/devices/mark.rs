use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::DeviceMarkRequested;
use lockstep_protocol::rest::DeviceView;
use lockstep_protocol::{Envelope, Hostname};

use super::show;
use crate::cli::client::Client;
use crate::cli::{Global, outcome, output, request};

/// Mark a device as synchronized or unsynchronized, and wait until it is stored
///
/// To mark it as synchronized closes its causes, which are shown before; a cause that comes meanwhile is not closed, but the command is
/// rejected. `lockstep devices show HOST` shows who marked the device, when and why. The state of the device plays no part.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices mark sw1 --synchronized --note 'compared by hand, no difference'
  lockstep devices mark sw1 --synchronized --generation 7 --note 'as devices show printed it'
  lockstep devices mark sw1 --unsynchronized --note 'changed by hand during the night'")]
pub(super) struct Mark {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// The device has its intended configuration: close its causes
    #[arg(long, required_unless_present = "unsynchronized", requires = "note")]
    synchronized: bool,
    /// The device needs its configuration again: add a cause
    #[arg(long, conflicts_with = "synchronized")]
    unsynchronized: bool,
    /// Reason, which `lockstep devices show` prints
    #[arg(long)]
    note: Option<String>,
    /// Generation that you looked at, which `lockstep devices show` prints; without it, the present one, after a question on a
    /// terminal
    #[arg(long, value_name = "NUMBER", conflicts_with = "unsynchronized")]
    generation: Option<i64>,
}

impl Mark {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let mut generation = self.generation;
        if self.synchronized && generation.is_none() {
            let device = client.device(self.hostname.as_str()).await?;
            if !looked_at(&device).await? {
                output::note("nothing was changed");
                return Ok(ExitCode::FAILURE);
            }
            generation = Some(device.desired_generation);
        }
        let subject = self.hostname.to_string();
        let command = DeviceMarkRequested {
            hostname: self.hostname,
            synchronized: self.synchronized,
            generation,
            note: self.note,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command).with_subject(subject);
        let view = request::ask(&client, &envelope).await?;
        Ok(outcome::show(&view, global.json))
    }
}

/// Shows what is to be closed. On a terminal, the operator is asked.
async fn looked_at(device: &DeviceView) -> anyhow::Result<bool> {
    if device.causes.is_empty() {
        return Ok(true);
    }
    let generation = device.desired_generation;
    output::note(&format!(
        "{} at generation {generation}; this closes:",
        device.hostname
    ));
    for line in show::causes(&device.causes) {
        output::note(&format!("  {line}"));
    }
    if !output::can_ask() {
        return Ok(true);
    }
    output::note("Close them? [y/N]");
    output::confirmed().await
}
