//! Commands for dead letters.

mod filter;
mod list;
mod report;
mod settle;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// List, show, requeue and drop dead letters: messages that could not be processed
///
/// docs/how-to/operations.md explains each code, and what to do about it.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead list
  lockstep dead show 42
  lockstep dead requeue --all --code unknown-device
  lockstep dead drop 42")]
pub(super) struct Dead {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
    Requeue(settle::Requeue),
    Drop(settle::Drop),
}

impl Dead {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Requeue(command) => command.run(global).await,
            What::Drop(command) => command.run(global).await,
        }
    }
}
