//! Commands for sessions of browsers.

mod end;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Global, output};

/// End sessions of browsers
///
/// Needs a token with the role admin, such as the one of `lockstep up` on this machine.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sessions end alice --reason 'left the company'")]
pub(super) struct Sessions {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    End(end::End),
}

impl Sessions {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::End(command) => command.run(global).await,
        }
    }
}
