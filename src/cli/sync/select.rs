use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use lockstep_protocol::rest::SkippedDevice;
use lockstep_protocol::{DeviceType, Hostname, counted};
use serde::Serialize;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// The largest page of the console.
const PAGE: usize = 1000;

/// List the devices that a sync run would contact, and those that it would skip, with the reason
///
/// Only MANAGED devices are contacted, and of these the unsynchronized ones; with --resync, the synchronized ones, too. A device that is
/// named by --host is contacted whatever its flag. Nothing is done to any device.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync select --all
  lockstep sync select --group DEFAULT --resync
  lockstep sync select --host sw1
  lockstep sync select --all --json | jq -r '.skipped[].hostname'")]
pub(super) struct Select {
    #[command(flatten)]
    target: Target,
    /// Contact synchronized devices, too
    #[arg(long)]
    resync: bool,
}

/// The devices that the run is asked for. One of these must be given: nothing selected never means everything.
#[derive(Debug, Args)]
#[command(next_help_heading = "Target")]
#[group(required = true, multiple = false)]
struct Target {
    /// All devices
    #[arg(long)]
    all: bool,
    /// The device with this hostname
    #[arg(long, value_name = "HOST")]
    host: Option<Hostname>,
    /// The devices of this type, such as ACCESS
    #[arg(long = "type", value_name = "TYPE")]
    device_type: Option<DeviceType>,
    /// The members of this group
    #[arg(long)]
    group: Option<String>,
}

/// The devices of the target.
#[derive(Debug, Default, Serialize)]
struct Selection {
    selected: Vec<Hostname>,
    skipped: Vec<SkippedDevice>,
}

impl Select {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let selection = self.read(&client).await?;
        if global.json {
            output::json(&selection);
            return Ok(ExitCode::SUCCESS);
        }
        output::line(&summary(&selection));
        let rows = rows(&selection);
        if !rows.is_empty() {
            output::line("");
            output::lines(&output::table(["HOSTNAME", "SELECTED", "REASON"], &rows), None);
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Reads all pages.
    async fn read(&self, client: &Client) -> anyhow::Result<Selection> {
        let mut selection = Selection::default();
        let mut after: Option<Hostname> = None;
        loop {
            let mut query = self.query();
            query.extend(after.iter().map(|after| ("after", after.to_string())));
            let page = client.selection(&query).await?;
            selection.selected.extend(page.selected);
            selection.skipped.extend(page.skipped);
            match page.next {
                None => return Ok(selection),
                Some(next) if after.as_ref().is_some_and(|after| next <= *after) => {
                    bail!("the selection goes on after {next}; is this the address of a Lockstep console?")
                }
                Some(next) => after = Some(next),
            }
        }
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let Target {
            all,
            host,
            device_type,
            group,
        } = &self.target;
        let mut query = vec![("limit", PAGE.to_string())];
        if *all {
            query.push(("all", "true".to_owned()));
        }
        query.extend(host.iter().map(|host| ("hostname", host.to_string())));
        query.extend(device_type.iter().map(|kind| ("device_type", kind.to_string())));
        query.extend(group.iter().map(|group| ("group", group.clone())));
        if self.resync {
            query.push(("resync", "true".to_owned()));
        }
        query
    }
}

/// How many devices are selected, and how many are skipped for which reason.
fn summary(selection: &Selection) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for device in &selection.skipped {
        *reasons.entry(&device.reason).or_default() += 1;
    }
    let reasons: Vec<String> = reasons
        .into_iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let selected = counted(selection.selected.len(), "device");
    let skipped = match &reasons[..] {
        [] => "none skipped".to_owned(),
        _ => format!("{} skipped: {}", selection.skipped.len(), reasons.join(", ")),
    };
    format!("{selected} selected, {skipped}")
}

fn rows(selection: &Selection) -> Vec<[String; 3]> {
    let selected = selection.selected.iter();
    let selected = selected.map(|hostname| [hostname.to_string(), "yes".to_owned(), "-".to_owned()]);
    let skipped = selection.skipped.iter();
    let skipped = skipped.map(|device| {
        [
            device.hostname.to_string(),
            "no".to_owned(),
            device.reason.clone(),
        ]
    });
    selected.chain(skipped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_each_reason() {
        let skipped = |hostname: &str, reason: &str| SkippedDevice {
            hostname: hostname.parse().unwrap(),
            reason: reason.to_owned(),
        };
        let mut selection = Selection::default();
        assert_eq!(summary(&selection), "0 devices selected, none skipped");
        selection.selected.push("sw1".parse().unwrap());
        selection.skipped = vec![
            skipped("sw2", "synchronized"),
            skipped("sw3", "state UNMANAGED"),
            skipped("sw4", "synchronized"),
        ];
        assert_eq!(
            summary(&selection),
            "1 device selected, 3 skipped: 1 state UNMANAGED, 2 synchronized"
        );
        assert_eq!(rows(&selection).len(), 4);
    }
}
