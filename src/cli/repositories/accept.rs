use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::RepositoryAcceptRequested;
use lockstep_protocol::{CommitId, Envelope, RepositoryName};

use crate::cli::{Global, request};

/// Takes a commit as the accepted one, without flagging anybody
///
/// For a fleet that already has what the commit says: from then on, changes since this commit flag whom they concern.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories accept settings 6113728f27ae82c7b1a177c8d03f9e96e0adf246")]
pub(super) struct Accept {
    /// The repository: settings or templates
    #[arg(value_name = "NAME", value_parser = super::name)]
    repository: RepositoryName,
    /// The commit, in full
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
