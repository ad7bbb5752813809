use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::TaskReference;

use super::request::RunOptions;
use crate::cli::client::Client;
use crate::cli::executions::follow::Follow;
use crate::cli::{Global, request};

/// Run a task: as a dry run, unless --apply says otherwise
///
/// On a terminal it then watches the execution: Ctrl-C ends only the watching. The exit code is 0 if the execution was accepted, and
/// where it waits for the end, only if the execution ended as SUCCESSFUL.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks run uptime --host sw1 --no-wait
  lockstep tasks run uptime --group oslo --apply --canary 2 --max-failed 10
  lockstep tasks run uptime --all --apply --at-once 50 --deadline 1h --wait
  lockstep tasks run ports --on INTERFACE 'sw1 Ethernet1' 'sw2 Ethernet1' --wait
  lockstep tasks run uptime --host sw1 sw2 --argument timeout_seconds=60 --wait
  lockstep tasks run uptime --all --json --wait | jq -r .state")]
pub(super) struct Run {
    /// Name or number of the task
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    options: RunOptions,
    #[command(flatten)]
    follow: Follow,
}

impl Run {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let task = client.task(&self.task).await?;
        let command = self
            .options
            .request(&client, TaskReference::Name(task.name))
            .await?;
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let view = request::ask(&client, &envelope).await?;
        self.follow.accepted(&client, &view, global.json).await
    }
}
