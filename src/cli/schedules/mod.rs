//! Commands for schedules.

mod delete;
mod list;
mod save;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// List, save and delete schedules, which run tasks periodically
///
/// docs/how-to/tasks.md explains what becomes of instants that are missed, and of those that a change of the clock repeats or leaves out.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep schedules list
  lockstep schedules save nightly --cron '0 2 * * *' --task uptime --all
  lockstep schedules delete nightly")]
pub(super) struct Schedules {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Save(save::Save),
    Delete(delete::Delete),
}

impl Schedules {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Save(command) => command.run(global).await,
            What::Delete(command) => command.run(global).await,
        }
    }
}
