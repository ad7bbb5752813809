use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::DeviceRemoveRequested;
use lockstep_protocol::rest::{HostnameList, SurroundingsView};
use lockstep_protocol::{Envelope, Hostname, counted};

use crate::cli::client::Client;
use crate::cli::{Global, UsageError, outcome, output, request};

/// The most hostnames of a list that are printed.
const MOST_NAMED: usize = 10;

/// Remove a device from the inventory, and wait until that is stored
///
/// Its interfaces, links, causes and history go with it, and its neighbours by links become unsynchronized. On a terminal, the command
/// shows what goes and asks; elsewhere it needs --yes. The device itself is left alone: nothing is sent to it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices remove sw1 --yes --note 'replaced by sw7'
  lockstep devices remove sw1")]
pub(super) struct Remove {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// Reason, which is shown with the causes of the neighbours that become unsynchronized
    #[arg(long)]
    note: Option<String>,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

impl Remove {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        if !self.yes {
            if !output::can_ask() {
                let problem =
                    "removing a device cannot be undone; add --yes, or run the command on a terminal";
                return Err(UsageError(problem.to_owned()).into());
            }
            let surroundings = client.surroundings(self.hostname.as_str()).await?;
            for line in lost(&surroundings) {
                output::note(&line);
            }
            output::note(&format!("Remove {}? [y/N]", self.hostname));
            if !output::confirmed().await? {
                output::note("nothing was changed");
                return Ok(ExitCode::FAILURE);
            }
        }
        let subject = self.hostname.to_string();
        let command = DeviceRemoveRequested {
            hostname: self.hostname,
            note: self.note,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command).with_subject(subject);
        let view = request::ask(&client, &envelope).await?;
        Ok(outcome::show(&view, global.json))
    }
}

/// What a removal takes away, and who becomes unsynchronized. Pure.
fn lost(device: &SurroundingsView) -> Vec<String> {
    let mut lines = vec![format!(
        "this removes {} with {} and {}",
        device.hostname,
        counted(device.interfaces, "interface"),
        counted(device.links, "link")
    )];
    if device.clients > 0 {
        let clients = counted(device.clients, "client");
        lines.push(format!("{clients} behind its interfaces will have no interface"));
    }
    if device.controlled.count > 0 {
        lines.push(format!(
            "{} will have no controller: {}",
            counted(device.controlled.count, "device"),
            names(&device.controlled)
        ));
    }
    lines.push(match device.neighbors.count {
        0 => "it has no neighbours by links, so no other device becomes unsynchronized".to_owned(),
        count => format!(
            "{} by links will be unsynchronized: {}",
            counted(count, "neighbour"),
            names(&device.neighbors)
        ),
    });
    lines
}

fn names(list: &HostnameList) -> String {
    let names: Vec<&str> = list.first.iter().take(MOST_NAMED).map(Hostname::as_str).collect();
    let more = if list.count > names.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[String]) -> HostnameList {
        HostnameList {
            count: names.len() as u64,
            first: names.iter().map(|name| name.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn what_goes_is_shown_before_the_question() {
        let alone = SurroundingsView {
            hostname: "sw1".parse().unwrap(),
            interfaces: 1,
            clients: 0,
            links: 0,
            neighbors: list(&[]),
            controlled: list(&[]),
            linked: Vec::new(),
            management_domains: Vec::new(),
            data: serde_json::Map::new(),
        };
        let many: Vec<String> = (0..12).map(|number| format!("n{number}")).collect();
        let connected = SurroundingsView {
            interfaces: 48,
            clients: 1,
            links: 12,
            neighbors: list(&many),
            controlled: list(&["ap1".to_owned()]),
            ..alone.clone()
        };
        assert_eq!(
            lost(&alone),
            [
                "this removes sw1 with 1 interface and 0 links",
                "it has no neighbours by links, so no other device becomes unsynchronized",
            ]
        );
        assert_eq!(
            lost(&connected),
            [
                "this removes sw1 with 48 interfaces and 12 links",
                "1 client behind its interfaces will have no interface",
                "1 device will have no controller: ap1",
                "12 neighbours by links will be unsynchronized: n0, n1, n2, n3, n4, n5, n6, n7, n8, n9, …",
            ]
        );
    }
}
