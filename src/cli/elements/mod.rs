//! Commands for the elements of executions.

mod list;
mod show;
mod waiting;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

pub(super) use list::ElementListing;
pub(super) use show::print;
pub(super) use waiting::waits_for;

/// List and show elements of executions: what a task did on each device
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep elements list 1 --outcome failed
  lockstep elements show 1")]
pub(super) struct Elements {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
}

impl Elements {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
        }
    }
}
