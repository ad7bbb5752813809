//! Commands about dead letters.

mod list;
mod pick;
mod report;
mod settle;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// Lists, shows, requeues and drops dead letters: messages that could not be worked
#[derive(Debug, Args)]
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
