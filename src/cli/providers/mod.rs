//! Commands for providers.

mod list;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// List and show providers: what tasks can run
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep providers list
  lockstep providers show command")]
pub(super) struct Providers {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
}

impl Providers {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
        }
    }
}
