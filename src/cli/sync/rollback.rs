use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::commands::SyncRequested;

use super::begin::Wait;
use super::plan::{planned, request};
use crate::cli::Global;
use crate::cli::client::Client;

/// Plan the way back of an execution: to the configurations that its devices had before
///
/// Makes a plan, which `lockstep sync apply` applies. A device that is back has not its intended configuration, so it is unsynchronized.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync rollback 3
  lockstep sync rollback 3 --wait --diffs --note 'INC-7: users lose voice'")]
pub(super) struct Rollback {
    /// Number or id of the execution that pushed
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Why, such as the number of an incident
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Show all differences
    #[arg(long)]
    diffs: bool,
    #[command(flatten)]
    wait: Wait,
}

impl Rollback {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let execution = client.execution(&self.execution).await?;
        let command = SyncRequested {
            rollback: Some(execution.id),
            note: self.note,
            ..request()
        };
        planned(&client, command, self.wait, self.diffs, global.json).await
    }
}
