//! Commands for repositories.

mod accept;
mod list;
mod refresh;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use lockstep_protocol::RepositoryName;

use super::Global;

/// List and refresh settings and templates repositories, and accept commits
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories list
  lockstep repositories refresh settings
  lockstep repositories accept settings $(git -C settings rev-parse origin/main)")]
pub(super) struct Repositories {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Refresh(refresh::Refresh),
    Accept(accept::Accept),
}

impl Repositories {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Refresh(command) => command.run(global).await,
            What::Accept(command) => command.run(global).await,
        }
    }
}

/// Parses the name of a repository.
fn name(text: &str) -> Result<RepositoryName, String> {
    RepositoryName::try_from(text.to_owned()).map_err(|error| error.to_string())
}
