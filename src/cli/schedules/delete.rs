use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::ScheduleDeleteRequested;

use crate::cli::{Global, request};

/// Delete a schedule, and wait until it is gone
///
/// Executions that it requested stay, and go on.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep schedules delete nightly")]
pub(super) struct Delete {
    /// Name of the schedule
    #[arg(value_name = "SCHEDULE")]
    name: String,
}

impl Delete {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = ScheduleDeleteRequested { name: self.name };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        request::request(global, &envelope).await
    }
}
