//! Commands for sync runs.

mod select;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// Say which devices a sync run would contact
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync select --all
  lockstep sync select --type ACCESS --resync")]
pub(super) struct Sync {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Select(select::Select),
}

impl Sync {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Select(command) => command.run(global).await,
        }
    }
}
