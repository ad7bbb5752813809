//! Runs simulated peers.

mod cvp;
mod fleet;
mod oidc;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Global, output};

/// Run a simulated peer, to try commands without real systems
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate cvp --tasks 200 --empty 10
  lockstep simulate fleet --devices 500 --faulty 5
  lockstep simulate oidc")]
pub(super) struct Simulate {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    Cvp(cvp::Cvp),
    Fleet(fleet::Fleet),
    Oidc(oidc::Oidc),
}

impl Simulate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.peer {
            Peer::Cvp(command) => command.run(global).await,
            Peer::Fleet(command) => command.run(global).await,
            Peer::Oidc(command) => command.run(global).await,
        }
    }
}
