use std::process::ExitCode;

use clap::Args;

use super::report::Report;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show what a sync found or did on each device, as a text for a change ticket
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync show 2
  lockstep sync show 2 --diffs
  lockstep sync show 2 --json | jq -r '.devices[] | select(.changed) | .hostname'")]
pub(super) struct Show {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Show all differences
    #[arg(long)]
    diffs: bool,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let execution = client.execution(&self.execution).await?;
        let report = Report::read(&client, execution).await?;
        if global.json {
            output::json(&report);
        } else {
            report.show(self.diffs);
        }
        Ok(ExitCode::SUCCESS)
    }
}
