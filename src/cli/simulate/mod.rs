//! Runs simulated peers.

mod cvp;
mod fleet;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Global, output};

/// Run a simulated peer, to try commands without real systems
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep simulate cvp --tasks 200 --empty 10
  lockstep simulate fleet --devices 500 --faulty 5")]
pub(super) struct Simulate {
    #[command(subcommand)]
    peer: Peer,
}

#[derive(Debug, Subcommand)]
enum Peer {
    Cvp(cvp::Cvp),
    Fleet(fleet::Fleet),
}

impl Simulate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.peer {
            Peer::Cvp(command) => command.run(global).await,
            Peer::Fleet(command) => command.run(global).await,
        }
    }
}
