//! Sends a request for a sync, and waits for its end.

use std::process::ExitCode;

use clap::Args;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::commands::SyncRequested;
use lockstep_protocol::rest::ExecutionView;
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::{Envelope, InboxState};

use crate::cli::client::Client;
use crate::cli::executions::watch;
use crate::cli::{outcome, output, request};

/// Whether to wait for the end of a sync.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Wait {
    /// Wait until it ends, and report [default: on a terminal]
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Return when it is accepted
    #[arg(long)]
    no_wait: bool,
}

/// What became of a request.
#[derive(Debug)]
pub(in crate::cli) enum Begun {
    /// It is an execution.
    Accepted(Box<ExecutionView>),
    /// It is none; that is printed.
    Refused(ExitCode),
}

/// Sends a request for a sync.
///
/// # Errors
/// If the console rejects the message or cannot be reached, or the outcome is not known in time.
pub(in crate::cli) async fn begin(
    client: &Client,
    command: SyncRequested,
    json: bool,
) -> anyhow::Result<Begun> {
    let envelope = Envelope::new(request::source(), SystemClock.now(), command);
    let view = request::ask(client, &envelope).await?;
    let accepted = match view.state {
        InboxState::Applied => serde_json::from_value::<ExecutionAccepted>(view.result.clone()).ok(),
        InboxState::Dead | InboxState::Refused => None,
    };
    let Some(accepted) = accepted else {
        return Ok(Begun::Refused(outcome::show(&view, json)));
    };
    let execution = client.execution(&accepted.execution.to_string()).await?;
    Ok(Begun::Accepted(Box::new(execution)))
}

impl Wait {
    /// The execution at its end. `None` if nobody waits for it, or the waiting was interrupted.
    ///
    /// # Errors
    /// If the execution cannot be read.
    pub(super) async fn end(
        self,
        client: &Client,
        execution: ExecutionView,
        json: bool,
    ) -> anyhow::Result<Waited> {
        if !json {
            let elements = outcome::elements(execution.elements, execution.dry_run);
            output::note(&format!("accepted as execution {}: {elements}", execution.number));
        }
        if self.wait || (!self.no_wait && output::size().is_some()) {
            // With --json, the report is the only result.
            let ended = if json {
                quietly(client, execution).await?
            } else {
                watch::until_end(client, execution, false).await?
            };
            return Ok(ended.map_or(Waited::Interrupted, |ended| Waited::Ended(Box::new(ended))));
        }
        Ok(Waited::Accepted(Box::new(execution)))
    }
}

/// How the waiting ended.
#[derive(Debug)]
pub(super) enum Waited {
    /// The execution ended.
    Ended(Box<ExecutionView>),
    /// Nobody waits for its end.
    Accepted(Box<ExecutionView>),
    /// The operator interrupted the waiting. The execution goes on.
    Interrupted,
}

/// Waits until the end of an execution without showing it; `None` at Ctrl-C.
///
/// # Errors
/// If the execution cannot be read.
pub(in crate::cli) async fn quietly(
    client: &Client,
    execution: ExecutionView,
) -> anyhow::Result<Option<ExecutionView>> {
    watch::until_end_on(client, execution, watch::Screen::Nothing).await
}
