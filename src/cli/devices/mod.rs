//! Commands for devices.

mod checks;
mod contact;
mod drift;
mod explain;
mod facts;
mod history;
mod import;
pub(super) mod list;
mod mark;
mod remove;
mod rename;
mod sessions;
mod set_state;
mod show;
mod until;
mod why;

use std::process::ExitCode;

pub(super) use explain::cause;

use clap::{Args, Subcommand};

use super::Global;

/// Import, list, show and explain devices, set their state, mark, rename and remove them
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices import fleet.yml
  lockstep devices list --unsynchronized
  lockstep devices show sw1
  lockstep devices why sw1
  lockstep devices history sw1
  lockstep devices facts sw1
  lockstep devices checks sw1
  lockstep devices drift sw1
  lockstep devices sessions sw1
  lockstep devices set-state sw1 UNMANAGED --note 'new power supply'
  lockstep devices mark sw1 --unsynchronized --note 'changed by hand'
  lockstep devices rename sw1 sw-b12-1
  lockstep devices remove sw1")]
pub(super) struct Devices {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Import(import::Import),
    List(list::List),
    Show(show::Show),
    Why(why::Why),
    History(history::History),
    Facts(facts::Facts),
    Checks(checks::Checks),
    Drift(drift::Drift),
    Sessions(sessions::Sessions),
    SetState(set_state::SetState),
    Mark(mark::Mark),
    Rename(rename::Rename),
    Remove(remove::Remove),
}

impl Devices {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Import(command) => command.run(global).await,
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Why(command) => command.run(global).await,
            What::History(command) => command.run(global).await,
            What::Facts(command) => command.run(global).await,
            What::Checks(command) => command.run(global).await,
            What::Drift(command) => command.run(global).await,
            What::Sessions(command) => command.run(global).await,
            What::SetState(command) => command.run(global).await,
            What::Mark(command) => command.run(global).await,
            What::Rename(command) => command.run(global).await,
            What::Remove(command) => command.run(global).await,
        }
    }
}
