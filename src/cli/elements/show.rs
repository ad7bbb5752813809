use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_protocol::rest::ElementDetail;

use super::{waiting, waits_for};
use crate::cli::client::Client;
use crate::cli::{Global, output, yaml};

/// Show an element, with everything that its provider returned
///
/// The output of a device is shown as it came, secrets included.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep elements show 1
  lockstep elements show 1 --json | jq .data")]
pub(super) struct Show {
    /// Number of the element, as `lockstep elements list` shows it
    #[arg(value_name = "NUMBER")]
    number: u64,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let element = Client::new(global)?.element(self.number).await?;
        print(&element, global.json);
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints an element and its data.
pub(in crate::cli) fn print(detail: &ElementDetail, json: bool) {
    if json {
        output::json(detail);
        return;
    }
    for line in fields(detail) {
        output::line(&line);
    }
    if !detail.data.is_null() {
        output::line("");
        output::document(&yaml::text(&detail.data));
    }
}

fn fields(detail: &ElementDetail) -> Vec<String> {
    let element = &detail.element;
    let time = |time: Option<Timestamp>| time.map(|time| format!("{time:.0}"));
    let hostname = element.hostname.as_ref().map(ToString::to_string);
    let pairs = [
        ("number", Some(element.number.to_string())),
        ("execution", Some(element.execution.to_string())),
        ("name", Some(element.name.clone())),
        (
            "entity",
            Some(format!("{} {}", element.entity_type, element.entity)),
        ),
        ("device", hostname.filter(|hostname| *hostname != element.name)),
        ("state", Some(element.state.to_string())),
        ("stage", element.stage.as_ref().map(waiting::text)),
        ("waits for", waits_for(element)),
        ("until", time(element.resume_at)),
        ("expires", time(element.expires_at)),
        ("reason", element.reason.clone()),
        ("message", element.message.clone()),
        (
            "changed",
            Some(if element.changed { "yes" } else { "no" }.to_owned()),
        ),
        ("attempts", Some(element.attempts.to_string())),
        ("started", time(element.started_at)),
        ("ended", time(element.ended_at)),
    ];
    pairs
        .into_iter()
        .filter_map(|(name, value)| Some(format!("{name:<11}{}", value?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_fields_are_left_out() {
        let json = json!({
            "number": 7, "execution": 2, "entity_type": "INTERFACE", "entity": 4, "name": "Ethernet1", "hostname": "sw1",
            "state": "FAILED", "outcome": "failed", "waits_for": null, "reason": "unreachable", "message": null, "changed": false,
            "attempts": 2, "started_at": "2026-02-03T04:05:06Z", "ended_at": null, "data": null,
        });
        let lines = fields(&serde_json::from_value(json).unwrap()).join("\n");
        let expected = "number     7\nexecution  2\nname       Ethernet1\nentity     INTERFACE 4\ndevice     sw1\nstate      FAILED\n\
            reason     unreachable\nchanged    no\nattempts   2\nstarted    2026-02-03T04:05:06Z";
        assert_eq!(lines, expected);
    }
}
