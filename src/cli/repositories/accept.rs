use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use lockstep_protocol::{CommitId, Envelope, RepositoryName};

use crate::cli::{Global, request};

/// Accept a commit without marking any device unsynchronized
///
/// Use it once, if the devices already have the configuration of this commit. Changes after this commit then make the affected
/// devices unsynchronized.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories accept settings $(git -C settings rev-parse origin/main)
  lockstep repositories accept settings 6113728f27ae82c7b1a177c8d03f9e96e0adf246")]
pub(super) struct Accept {
    /// Repository: settings or templates
    #[arg(value_name = "REPOSITORY", value_parser = super::name)]
    repository: RepositoryName,
    /// Full id of the commit
    commit: CommitId,
}

impl Accept {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = RepositoryAcceptRequested {
            repository: self.repository,
            commit: self.commit,
        };
        request::request(
            global,
            &Envelope::new(request::source(), SystemClock.now(), command),
        )
        .await
    }
}
