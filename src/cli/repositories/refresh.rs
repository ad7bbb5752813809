use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::RepositoryRefreshRequested;
use lockstep_protocol::{Envelope, RepositoryName};

use crate::cli::{Global, request};

/// Fetch a repository now, and mark the devices unsynchronized that its changes affect
///
/// Webhooks and polling do the same by themselves. The first refresh has no commit to compare with, so it marks all devices that the
/// repository affects; `lockstep repositories accept` avoids that.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories refresh settings
  lockstep repositories refresh templates --json")]
pub(super) struct Refresh {
    /// Repository: settings or templates
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
