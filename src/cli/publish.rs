use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::rest::Accepted;
use lockstep_protocol::{Class, Digest, Identity, Kind, MessageId, Source};
use serde_json::{Value, json};

use super::await_outcome::await_outcome;
use super::client::Client;
use super::{Global, UsageError, outcome, output};

const EXAMPLES: &str = "Examples:
  lockstep publish lockstep.interface.updated --wait \\
      --data '{\"hostname\": \"sw1\", \"kind\": \"configuration\", \"interfaces\": [{\"name\": \"Ethernet1\"}]}'
  lockstep publish lockstep.device.provisioned --data @ztp.json --subject sw1
  jq .change change.json | lockstep publish lockstep.interface.updated --data - \\
      --id change-4711 --source urn:example:netbox

`lockstep publish --help` lists the types, and `lockstep schema messages` prints the JSON Schema of each.";

/// Publish an event or a command
///
/// A message with the same id and source is processed once, however often it is published. So it is safe to publish it again when
/// in doubt.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_help())]
pub(super) struct Publish {
    /// Type of the message, such as lockstep.interface.updated; `--help` lists all
    #[arg(value_name = "TYPE")]
    kind: String,
    /// Hostname of the device that the message is about
    #[arg(long)]
    subject: Option<String>,
    /// Data of the message: JSON, @FILE, or - for standard input
    #[arg(long, default_value = "{}", value_name = "JSON|@FILE|-")]
    data: String,
    /// Id of the message [default: a new one]
    #[arg(long)]
    id: Option<String>,
    /// URI of the system that the message comes from
    #[arg(long, default_value = "urn:lockstep:cli")]
    source: String,
    /// Wait for the outcome, 30 seconds if no number is given, at most a day
    #[arg(
        long,
        num_args = 0..=1,
        default_missing_value = "30",
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(..=86_400)
    )]
    wait: Option<u64>,
}

/// The examples, and the types that can be published.
fn long_help() -> String {
    let planned =
        "Planned types, which this version does not process and rejects with the code not-supported:";
    let [events, commands, planned] = [
        ("Event types:", Some(Class::Event), false),
        ("Command types:", Some(Class::Command), false),
        (planned, None, true),
    ]
    .map(|(title, class, is_planned)| -> String {
        let kinds = Kind::ALL.iter().filter(|kind| kind.ingress().is_some());
        let listed = kinds.filter(|kind| {
            kind.is_planned() == is_planned && class.is_none_or(|class| kind.class() == class)
        });
        let lines = listed.map(|kind| format!("\n  {:<39} {}", kind.as_str(), kind.description()));
        let lines: String = lines.collect();
        if lines.is_empty() {
            lines
        } else {
            format!("\n\n{title}{lines}")
        }
    });
    format!("{EXAMPLES}{events}{commands}{planned}")
}

impl Publish {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let identity = self.identity()?;
        let message = self.message(&identity)?;
        let client = Client::new(global)?;
        let digest = Digest::of(&self.kind, self.subject.as_deref(), &message["data"]);
        let encoded = serde_json::to_vec(&message).context("cannot write the message")?;
        client.publish(encoded).await?;
        let Some(seconds) = self.wait else {
            if global.json {
                output::json(&Accepted { identity });
            } else {
                output::line(&format!(
                    "published {} with id {} from {}",
                    self.kind, identity.id, identity.source
                ));
            }
            return Ok(ExitCode::SUCCESS);
        };
        let wait = Duration::from_secs(seconds);
        let view = await_outcome(&client, &identity, digest, wait).await?;
        Ok(outcome::show(&view, global.json))
    }

    fn identity(&self) -> Result<Identity, UsageError> {
        let id = match &self.id {
            None => MessageId::new(),
            Some(id) => {
                MessageId::try_from(id.clone()).map_err(|error| UsageError(format!("--id {error}")))?
            }
        };
        let source = Source::try_from(self.source.clone());
        let source = source.map_err(|error| UsageError(format!("--source {error}")))?;
        Ok(Identity { source, id })
    }

    /// The console validates type and data, so they are not validated here.
    fn message(&self, identity: &Identity) -> anyhow::Result<Value> {
        let data: Value = serde_json::from_str(&self.text()?).map_err(|error| {
            UsageError(format!(
                "--data is not valid JSON: {error}; to read a file, write @FILE"
            ))
        })?;
        let mut message = json!({
            "specversion": "1.0",
            "id": identity.id,
            "source": identity.source,
            "type": self.kind,
            "time": SystemClock.now(),
            "datacontenttype": "application/json",
            "data": data,
        });
        if let Some(subject) = &self.subject {
            message["subject"] = subject.as_str().into();
        }
        Ok(message)
    }

    fn text(&self) -> anyhow::Result<String> {
        if self.data == "-" {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("cannot read standard input")?;
            return Ok(text);
        }
        match self.data.strip_prefix('@') {
            Some(file) => std::fs::read_to_string(file).with_context(|| format!("cannot read {file}")),
            None => Ok(self.data.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_lists_every_type_and_marks_the_planned_ones() {
        let help = long_help();
        let (processed, planned) = help.split_once("\nPlanned types").unwrap_or((&help, ""));
        for kind in Kind::ALL {
            let line = format!("\n  {kind} ");
            let listed = (processed.contains(&line), planned.contains(&line));
            let publishable = kind.ingress().is_some();
            let expected = (
                publishable && !kind.is_planned(),
                publishable && kind.is_planned(),
            );
            // An example has its type, too, but not at the beginning of a line.
            assert_eq!(listed, expected, "{kind}");
        }
    }
}
