use std::process::ExitCode;

use clap::Args;

use super::file;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List everything that is wrong in a task file, and save nothing
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tasks validate uptime.yml
  lockstep tasks validate uptime.yml --json | jq -r '.problems[].place'")]
pub(super) struct Validate {
    /// Task file in YAML or JSON, or - for standard input
    #[arg(value_name = "FILE")]
    file: String,
}

impl Validate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let task = file::read(&self.file)?;
        let validation = Client::new(global)?.validate_task(&task).await?;
        if global.json {
            output::json(&validation);
        } else if validation.valid {
            output::line(&format!("{} is valid", self.file));
        } else {
            for problem in &validation.problems {
                output::error(&file::line(&self.file, problem));
            }
        }
        Ok(if validation.valid {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
