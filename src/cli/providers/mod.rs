//! Commands for providers.

mod describe;
mod list;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// List, show and describe providers: what tasks can run
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep providers list
  lockstep providers show command
  lockstep providers describe /opt/providers/uptime")]
pub(super) struct Providers {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Describe(describe::Describe),
}

impl Providers {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Describe(command) => command.run().await,
        }
    }
}
