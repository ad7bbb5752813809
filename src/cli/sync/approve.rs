use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{ExecutionApproveRequested, ExecutionWithdrawApprovalRequested};
use lockstep_protocol::{Envelope, Message};

use crate::cli::client::Client;
use crate::cli::executions::id;
use crate::cli::{Global, outcome, request};

/// Approve a plan of somebody else, or withdraw the own approval
///
/// Where plans need an approval (sync.approval), a plan is applied only with one by a person who neither made it nor applies it. Look at the
/// plan first: `lockstep sync show PLAN --diffs`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync approve 2
  lockstep sync approve 2 --note 'CHG-1234: both cores checked'
  lockstep sync approve 2 --withdraw")]
pub(super) struct Approve {
    /// Number or id of the plan: an execution of `lockstep sync plan`
    #[arg(value_name = "PLAN")]
    plan: String,
    /// Why, such as the number of a change ticket
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Withdraw the own approval; what was accepted before goes on
    #[arg(long, conflicts_with = "note")]
    withdraw: bool,
}

impl Approve {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let execution = id(&client, &self.plan).await?;
        let command: Message = if self.withdraw {
            ExecutionWithdrawApprovalRequested { execution }.into()
        } else {
            let note = self.note;
            ExecutionApproveRequested { execution, note }.into()
        };
        let envelope = Envelope::new(request::source(), SystemClock.now(), command);
        let view = request::ask(&client, &envelope).await?;
        Ok(outcome::show(&view, global.json))
    }
}
