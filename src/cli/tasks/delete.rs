use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::TaskDeleteRequested;

use crate::cli::{Global, request};

/// Delete a task, and wait until it is gone
///
/// Executions of it stay, and go on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep tasks delete uptime")]
pub(super) struct Delete {
    /// Name of the task
    #[arg(value_name = "TASK")]
    name: String,
}

impl Delete {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = TaskDeleteRequested { name: self.name };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        request::request(global, &envelope).await
    }
}
