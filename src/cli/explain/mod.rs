mod report;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::client::Client;
use super::{Global, output};

/// Explain how one thing led to the next: message, rule, devices, executions, results
///
/// Shows for a message which rule it met, which devices it flagged and why, and which executions synchronized them; for an execution or an
/// element the message that requested it, the causes that it found open, and how far it came. docs/how-to/explain.md has an example.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep explain 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70
  lockstep explain 4711 --source urn:example:netbox --by netbox
  lockstep explain 2
  lockstep explain 2 --of element
  lockstep explain 2 --json | jq '.causes[].rules'")]
pub(super) struct Explain {
    /// Id of a message, number or id of an execution, or number of an element
    id: String,
    /// What the id names. Default: a number names an execution, or else an element; another text a message, or else an execution
    #[arg(long, value_enum, value_name = "WHAT")]
    of: Option<Of>,
    /// Source of the message, if several have the id
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// Sender of the message, likewise
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Of {
    Message,
    Execution,
    Element,
}

impl Explain {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let of = self.of.map(|of| match of {
            Of::Message => "message",
            Of::Execution => "execution",
            Of::Element => "element",
        });
        let (source, by) = (self.source.as_deref(), self.by.as_deref());
        let explanation = Client::new(global)?.explain(&self.id, of, source, by).await?;
        if global.json {
            output::json(&explanation);
        } else {
            for line in &report::lines(&explanation) {
                output::line(line);
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
