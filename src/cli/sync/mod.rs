//! Commands for syncs.

mod apply;
mod approve;
pub(super) mod begin;
mod diff;
pub(super) mod plan;
mod report;
mod rollback;
mod select;
mod selection;
mod show;
mod target;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;

/// Bring devices in lockstep with their intended configurations: select, plan, approve, apply, roll back
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync select --all
  lockstep sync plan --all
  lockstep sync approve 2
  lockstep sync apply 2
  lockstep sync show 2
  lockstep sync diff 2 sw1
  lockstep sync rollback 3")]
pub(super) struct Sync {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Select(select::Select),
    Plan(plan::Plan),
    Approve(approve::Approve),
    Apply(apply::Apply),
    Show(show::Show),
    Diff(diff::Diff),
    Rollback(rollback::Rollback),
}

impl Sync {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Select(command) => command.run(global).await,
            What::Plan(command) => command.run(global).await,
            What::Approve(command) => command.run(global).await,
            What::Apply(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
            What::Diff(command) => command.run(global).await,
            What::Rollback(command) => command.run(global).await,
        }
    }
}
