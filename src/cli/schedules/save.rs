use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::Envelope;
use lockstep_protocol::commands::{ScheduleSaveRequested, TaskReference};

use crate::cli::client::Client;
use crate::cli::tasks::request::RunOptions;
use crate::cli::{Global, outcome, request};

/// Save a schedule, and wait until it is stored
///
/// It replaces the schedule with the same name. What it runs on is resolved now: a device that is imported or joins a group later is
/// not part of it until it is saved again. Names after --on are looked up each time it runs.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep schedules save nightly --cron '0 2 * * *' --task uptime --all
  lockstep schedules save weekly --cron '0 4 * * mon' --time-zone Europe/Stockholm \\
      --task uptime --on GROUP oslo --apply --at-once 10
  lockstep schedules save nightly --cron '0 2 * * *' --task uptime --all --disabled")]
pub(super) struct Save {
    /// Name of the schedule
    #[arg(value_name = "SCHEDULE")]
    name: String,
    /// When to run: minute, hour, day of the month, month, day of the week
    #[arg(long, value_name = "EXPRESSION")]
    cron: String,
    /// Time zone of the expression, such as Europe/Stockholm [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// Name or number of the task to run
    #[arg(long, value_name = "TASK")]
    task: String,
    /// Keep the schedule without running anything
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    options: RunOptions,
}

impl Save {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let task = client.task(&self.task).await?;
        let command = ScheduleSaveRequested {
            name: self.name,
            cron: self.cron,
            time_zone: self.time_zone,
            task: self
                .options
                .request(&client, TaskReference::Name(task.name))
                .await?,
            enabled: !self.disabled,
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let view = request::ask(&client, &envelope).await?;
        Ok(outcome::show(&view, global.json))
    }
}
