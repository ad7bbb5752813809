use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::{Envelope, Kind, Message};

use super::file;
use crate::cli::client::Client;
use crate::cli::{Global, outcome, output, request};

/// Save a task, and wait until it is stored
///
/// It replaces the task with the same name. Executions that were requested before keep the arguments that they began with.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks save uptime.yml
  lockstep tasks save ports.yml --pre uptime --post report
  lockstep tasks show uptime | sed 's/version/uptime/' | lockstep tasks save -")]
pub(super) struct Save {
    /// Task file in YAML or JSON, or - for standard input
    #[arg(value_name = "FILE")]
    file: String,
    /// Task that runs before it, on the same entities, after those in the file; may be given several times
    #[arg(long, value_name = "NAME")]
    pre: Vec<String>,
    /// Task that runs after it, after those in the file; may be given several times
    #[arg(long, value_name = "NAME")]
    post: Vec<String>,
}

impl Save {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut task = file::read(&self.file)?;
        file::add(&mut task, "pre_tasks", self.pre);
        file::add(&mut task, "post_tasks", self.post);
        let client = Client::new(global)?;
        let validation = client.validate_task(&task).await?;
        for problem in &validation.problems {
            output::error(&file::line(&self.file, problem));
        }
        if !validation.valid {
            return Ok(ExitCode::FAILURE);
        }
        let message = Message::from_data(Kind::TaskSaveRequested, &task)?;
        let envelope = Envelope::new(request::source(), SystemClock.now(), message);
        let view = request::ask(&client, &envelope).await?;
        Ok(outcome::show(&view, global.json))
    }
}
