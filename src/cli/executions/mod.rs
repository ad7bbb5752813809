//! Commands for executions.

mod control;
pub(super) mod follow;
mod list;
mod relaunch;
mod results;
mod show;
pub(super) mod view;
pub(super) mod watch;

use std::process::ExitCode;

pub(super) use control::id;
pub(super) use view::{approved, status};

use clap::{Args, Subcommand};

use super::Global;

/// List, show, watch, cancel, pause, resume and relaunch executions, and list their results: runs of tasks
///
/// docs/how-to/tasks.md explains the states and the reasons.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep executions list
  lockstep executions show 1
  lockstep executions results 1
  lockstep executions watch 1
  lockstep executions cancel 1
  lockstep executions relaunch 1 --failed")]
pub(super) struct Executions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Results(results::Results),
    Watch(watch::Watch),
    Cancel(control::Cancel),
    Pause(control::Pause),
    Resume(control::Resume),
    Relaunch(relaunch::Relaunch),
}

impl Executions {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Results(command) => command.run(global).await,
            What::Watch(command) => command.run(global).await,
            What::Cancel(command) => command.run(global).await,
            What::Pause(command) => command.run(global).await,
            What::Resume(command) => command.run(global).await,
            What::Relaunch(command) => command.run(global).await,
        }
    }
}
