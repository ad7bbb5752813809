//! Reads which devices a sync would contact.

use std::collections::BTreeMap;

use anyhow::bail;
use lockstep_protocol::commands::SyncTargets;
use lockstep_protocol::rest::SkippedDevice;
use lockstep_protocol::{Hostname, counted};
use serde::Serialize;

use crate::cli::client::Client;

/// The largest page of the console.
const PAGE: usize = 1000;

/// The devices of a target.
#[derive(Debug, Default, Serialize)]
pub(super) struct Selection {
    pub(super) selected: Vec<Hostname>,
    pub(super) skipped: Vec<SkippedDevice>,
}

/// Reads all pages.
///
/// # Errors
/// If the console rejects a request or cannot be reached.
pub(super) async fn read(client: &Client, targets: &SyncTargets, resync: bool) -> anyhow::Result<Selection> {
    let mut selection = Selection::default();
    let mut after: Option<Hostname> = None;
    loop {
        let mut query = query(targets, resync);
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

fn query(targets: &SyncTargets, resync: bool) -> Vec<(&'static str, String)> {
    let target = match targets {
        SyncTargets::All => ("all", "true".to_owned()),
        SyncTargets::Hostname(hostname) => ("hostname", hostname.to_string()),
        SyncTargets::DeviceType(kind) => ("device_type", kind.to_string()),
        SyncTargets::Group(group) => ("group", group.to_string()),
    };
    let mut query = vec![("limit", PAGE.to_string()), target];
    if resync {
        query.push(("resync", "true".to_owned()));
    }
    query
}

impl Selection {
    /// How many devices are selected, and how many are skipped for which reason.
    pub(super) fn summary(&self) -> String {
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for device in &self.skipped {
            *reasons.entry(&device.reason).or_default() += 1;
        }
        let reasons: Vec<String> = reasons
            .into_iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        let selected = counted(self.selected.len(), "device");
        let skipped = match &reasons[..] {
            [] => "none skipped".to_owned(),
            _ => format!("{} skipped: {}", self.skipped.len(), reasons.join(", ")),
        };
        format!("{selected} selected, {skipped}")
    }
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
        assert_eq!(selection.summary(), "0 devices selected, none skipped");
        selection.selected.push("sw1".parse().unwrap());
        selection.skipped = vec![
            skipped("sw2", "synchronized"),
            skipped("sw3", "state UNMANAGED"),
            skipped("sw4", "synchronized"),
        ];
        assert_eq!(
            selection.summary(),
            "1 device selected, 3 skipped: 1 state UNMANAGED, 2 synchronized"
        );
    }
}
