use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::{CauseView, DeviceView, HistoryEventView};
use lockstep_protocol::{Hostname, counted};
use serde::Serialize;

use super::explain;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Explain why a device is not synchronized: its open causes with commits, paths and interfaces
///
/// The oldest cause comes first. At most the newest 32 are kept; the generations tell how many there were. Of a commit, the paths are
/// shown that concern this device. Names and messages of commits are what their authors wrote. The exit code is 0 whether the device is
/// synchronized or not.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices why sw1
  lockstep devices why sw1 --json | jq -r '.causes[].commit.subject'")]
pub(super) struct Why {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
}

/// The answer as JSON.
#[derive(Serialize)]
struct Explanation<'a> {
    hostname: &'a Hostname,
    synchronized: bool,
    unsynchronized_since: Option<jiff::Timestamp>,
    desired_generation: i64,
    synced_generation: i64,
    causes: &'a [CauseView],
    /// The newest event of a synchronized device.
    last: Option<&'a HistoryEventView>,
}

impl Why {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let device = client.device(self.hostname.as_str()).await?;
        let mut last = None;
        if device.synchronized {
            let query = [("limit", "1".to_owned())];
            let page = client.device_history(self.hostname.as_str(), &query).await?;
            last = page.events.into_iter().next();
        }
        if global.json {
            output::json(&explanation(&device, last.as_ref()));
        } else {
            for line in lines(&device, last.as_ref()) {
                output::line(&line);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn explanation<'a>(device: &'a DeviceView, last: Option<&'a HistoryEventView>) -> Explanation<'a> {
    Explanation {
        hostname: &device.hostname,
        synchronized: device.synchronized,
        unsynchronized_since: device.unsynchronized_since,
        desired_generation: device.desired_generation,
        synced_generation: device.synced_generation,
        causes: &device.causes,
        last,
    }
}

fn lines(device: &DeviceView, last: Option<&HistoryEventView>) -> Vec<String> {
    let hostname = &device.hostname;
    if device.synchronized {
        let last = last.map_or_else(
            || "its history is empty".to_owned(),
            |event| format!("last: {}", last_event(event)),
        );
        return vec![format!("{hostname} is synchronized, nothing to explain; {last}")];
    }
    let all = u64::try_from(device.desired_generation.saturating_sub(device.synced_generation)).unwrap_or(0);
    let since = device
        .unsynchronized_since
        .map(|since| format!(" since {since:.0}"));
    let mut lines = vec![format!(
        "{hostname} is not synchronized{}: it has generation {} of {}, {}",
        since.unwrap_or_default(),
        device.synced_generation,
        device.desired_generation,
        counted(all, "cause")
    )];
    let listed = device.causes.len() as u64;
    if listed < all {
        let others = counted(all - listed, "older cause");
        lines.push(format!(
            "{others} not listed: at most the newest 32 are, and none that a move to UNMANAGED closed"
        ));
    }
    for cause in &device.causes {
        lines.push(String::new());
        let mut cause = explain::cause(cause).into_iter();
        lines.extend(cause.next());
        lines.extend(cause.map(|line| format!("  {line}")));
    }
    lines
}

/// The newest event of a synchronized device.
fn last_event(event: &HistoryEventView) -> String {
    let by = event
        .by
        .as_ref()
        .map(|by| format!(" by {by}"))
        .unwrap_or_default();
    let what = explain::event(event);
    let separator = if what.is_empty() { "" } else { ", " };
    format!("{} {:.0}{by}{separator}{what}", event.what, event.at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn device(more: &serde_json::Value) -> DeviceView {
        let mut value = json!({
            "id": 1, "hostname": "sw1", "device_type": "ACCESS", "state": "MANAGED", "synchronized": true,
            "desired_generation": 4, "synced_generation": 4, "groups": [], "causes": [],
        });
        value
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_synchronized_device_has_nothing_to_explain_but_its_last_event() {
        let last = serde_json::from_value(json!({
            "at": "2026-02-03T04:05:06Z", "what": "synchronized", "event": "x", "source": "s", "id": "1", "by": "anna",
            "note": null, "generation": 4, "closed": 3,
        }));
        assert_eq!(
            lines(&device(&json!({})), Some(&last.unwrap())),
            [
                "sw1 is synchronized, nothing to explain; last: synchronized 2026-02-03T04:05:06Z by anna, closed 3 causes"
            ]
        );
        assert_eq!(
            lines(&device(&json!({})), None),
            ["sw1 is synchronized, nothing to explain; its history is empty"]
        );
    }

    #[test]
    fn open_causes_are_explained_and_the_others_counted() {
        let cause = json!({
            "cause": "interface_updated", "event": "lockstep.interface.updated", "source": "nms", "id": "7",
            "at": "2026-02-03T04:05:06Z", "by": null, "interfaces": ["Ethernet1"],
        });
        let flagged = device(&json!({
            "synchronized": false, "synced_generation": 1, "unsynchronized_since": "2026-02-03T04:00:00Z", "causes": [cause],
        }));
        let expected = [
            "sw1 is not synchronized since 2026-02-03T04:00:00Z: it has generation 1 of 4, 3 causes",
            "2 older causes not listed: at most the newest 32 are, and none that a move to UNMANAGED closed",
            "",
            "2026-02-03T04:05:06Z  interface_updated (lockstep.interface.updated)",
            "  Ethernet1",
            "  message nms 7",
        ];
        assert_eq!(lines(&flagged, None), expected);
    }
}
