use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::commands::{RunLimits, SyncAction, SyncRequested};

use super::begin::{Begun, Wait, Waited, begin};
use super::report::Report;
use super::target::Target;
use crate::cli::client::Client;
use crate::cli::tasks::request::Limits;
use crate::cli::{Global, output};

/// Show what a synchronization would change, and on which devices: a plan, which can be applied as it is
///
/// Contacts the devices that `lockstep sync select` lists, renders their configurations and compares. Nothing changes on a device. One that
/// has its intended configuration already becomes synchronized; a synchronized one that does not becomes unsynchronized.
///
/// The exit code is 0 if every device was compared.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync plan --all
  lockstep sync plan --group DEFAULT --resync --diffs
  lockstep sync plan --host sw1 --wait
  lockstep sync plan --all --wait --json | jq '.execution.number'")]
pub(super) struct Plan {
    #[command(flatten)]
    target: Target,
    /// Contact synchronized devices, too
    #[arg(long)]
    resync: bool,
    /// Overwrite changes that were made outside of Lockstep, when the plan is applied
    #[arg(long)]
    force: bool,
    /// Why, such as the number of a change ticket
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Show all differences
    #[arg(long)]
    diffs: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    wait: Wait,
}

impl Plan {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = SyncRequested {
            targets: Some(self.target.required()?),
            resync: self.resync,
            force: self.force,
            note: self.note,
            limits: self.limits.clone().into(),
            ..request()
        };
        planned(&Client::new(global)?, command, self.wait, self.diffs, global.json).await
    }
}

/// A dry run of nothing.
pub(in crate::cli) fn request() -> SyncRequested {
    SyncRequested {
        targets: None,
        plan: None,
        rollback: None,
        action: SyncAction::Synchronize,
        resync: false,
        dry_run: true,
        force: false,
        commit: None,
        session: None,
        limits: RunLimits::default(),
        note: None,
    }
}

/// Begins a dry run, and reports it.
///
/// # Errors
/// If the console rejects a request or cannot be reached.
pub(super) async fn planned(
    client: &Client,
    command: SyncRequested,
    wait: Wait,
    diffs: bool,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let execution = match begin(client, command, json).await? {
        Begun::Accepted(execution) => *execution,
        Begun::Refused(code) => return Ok(code),
    };
    let number = execution.number;
    match wait.end(client, execution, json).await? {
        Waited::Interrupted => Ok(ExitCode::FAILURE),
        Waited::Accepted(execution) => {
            if json {
                output::json(&execution);
            } else {
                output::line(&format!(
                    "plan {number} is under way: lockstep sync show {number}"
                ));
            }
            Ok(ExitCode::SUCCESS)
        }
        Waited::Ended(execution) => {
            let report = Report::read(client, *execution).await?;
            if json {
                output::json(&report);
            } else {
                report.show(diffs);
                if report.applicable().0 > 0 {
                    output::note(&format!("to apply it as it is: lockstep sync apply {number}"));
                }
            }
            Ok(report.exit_code())
        }
    }
}
