//! Commands for messages.

pub(super) mod report;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// Show what became of a message
#[derive(Debug, Args)]
#[command(after_help = "Example:
  lockstep messages show 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70")]
pub(super) struct Messages {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Show(show::Show),
}

impl Messages {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Show(command) => command.run(global).await,
        }
    }
}
