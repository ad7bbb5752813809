use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::ExecutionRelaunchRequested;

use super::control;
use super::follow::Follow;
use crate::cli::client::Client;
use crate::cli::tasks::request::RunArguments;
use crate::cli::{Global, request};

/// Run the task of an ended execution again, on its failed elements only
///
/// The new execution has the arguments of the old one, with those that --argument replaces, and changes devices if the old one did.
/// Like `lockstep tasks run`, it then watches on a terminal.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions relaunch 1 --failed --no-wait
  lockstep executions relaunch 1 --failed --argument timeout_seconds=60
  lockstep executions relaunch 1 --failed --apply --wait")]
pub(super) struct Relaunch {
    /// Number or id of the execution that ended
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Take the elements that failed; it must be given, since others are never run again
    #[arg(long, required = true)]
    failed: bool,
    #[command(flatten)]
    arguments: RunArguments,
    /// Change devices, whatever the old execution did
    #[arg(long)]
    apply: bool,
    /// Change nothing, whatever the old execution did
    #[arg(long, conflicts_with = "apply")]
    dry_run: bool,
    #[command(flatten)]
    follow: Follow,
}

impl Relaunch {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let arguments = self.arguments.map()?;
        let client = Client::new(global)?;
        let command = ExecutionRelaunchRequested {
            execution: control::id(&client, &self.execution).await?,
            arguments,
            dry_run: match (self.apply, self.dry_run) {
                (true, _) => Some(false),
                (_, true) => Some(true),
                (false, false) => None,
            },
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let view = request::ask(&client, &envelope).await?;
        self.follow.accepted(&client, &view, global.json).await
    }
}
