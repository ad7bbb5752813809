use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::{Envelope, RepositoryName};

use crate::cli::{Global, request};

/// Fetches a repository now, and flags whom its changes concern
///
/// The first time there is nothing to compare with: everybody whom the repository concerns is flagged.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories refresh settings")]
pub(super) struct Refresh {
    /// The repository: settings or templates
    #[arg(value_name = "NAME", value_parser = super::name)]
    repository: RepositoryName,
}

impl Refresh {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = RepositoryRefreshRequested {
            repository: self.repository,
        };
        request::request(
            global,
            &Envelope::new(request::source(), SystemClock.now(), command),
        )
        .await
    }
}
