use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::{
    ExecutionCancelRequested, ExecutionPauseRequested, ExecutionResumeRequested,
};
use lockstep_protocol::{Envelope, Message};
use uuid::Uuid;

use crate::cli::client::Client;
use crate::cli::{Global, outcome, request};

/// Cancel executions: what has not begun is skipped, what runs is told to stop
///
/// An id may be unknown yet: the execution then ends as soon as it is accepted.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep executions cancel 1")]
pub(super) struct Cancel {
    #[command(flatten)]
    executions: Named,
}

/// Pause executions: no more of their elements begin until they are resumed; what runs finishes
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep executions pause 1")]
pub(super) struct Pause {
    #[command(flatten)]
    executions: Named,
}

/// Resume paused executions
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lockstep executions resume 1")]
pub(super) struct Resume {
    #[command(flatten)]
    executions: Named,
}

/// The executions that a command is about.
#[derive(Debug, Args)]
struct Named {
    /// Numbers or ids of the executions
    #[arg(value_name = "EXECUTION", required = true)]
    executions: Vec<String>,
}

impl Cancel {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = |execution| ExecutionCancelRequested { execution }.into();
        self.executions.each(global, command).await
    }
}

impl Pause {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = |execution| ExecutionPauseRequested { execution }.into();
        self.executions.each(global, command).await
    }
}

impl Resume {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let command = |execution| ExecutionResumeRequested { execution }.into();
        self.executions.each(global, command).await
    }
}

impl Named {
    /// Sends a command for each execution, and prints the outcomes. Fails if one is rejected.
    async fn each(&self, global: &Global, command: impl Fn(Uuid) -> Message) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let mut code = ExitCode::SUCCESS;
        for text in &self.executions {
            let execution = id(&client, text).await?;
            let envelope = Envelope::new(request::source(), SystemClock.now(), command(execution));
            let view = request::ask(&client, &envelope).await?;
            let one = outcome::show(&view, global.json);
            if one != ExitCode::SUCCESS {
                code = one;
            }
        }
        Ok(code)
    }
}

/// The id of the execution with this number or id. An id need not be known.
pub(in crate::cli) async fn id(client: &Client, text: &str) -> anyhow::Result<Uuid> {
    match text.parse() {
        Ok(id) => Ok(id),
        Err(_) => Ok(client.execution(text).await?.id),
    }
}
