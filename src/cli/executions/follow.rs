//! What a command does after its execution was accepted: it watches, or ends.

use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::InboxState;
use lockstep_protocol::rest::MessageView;
use lockstep_protocol::results::ExecutionAccepted;

use super::watch;
use crate::cli::client::Client;
use crate::cli::{outcome, output};

/// Whether to wait for the end of an execution.
#[derive(Clone, Copy, Debug, Args)]
pub(in crate::cli) struct Follow {
    /// Wait until the execution ends [default: on a terminal]
    #[arg(long, conflicts_with = "no_wait")]
    wait: bool,
    /// Return when the execution is accepted
    #[arg(long)]
    no_wait: bool,
}

impl Follow {
    /// Prints that an execution was accepted, and watches it if that is wanted; or why it was not.
    ///
    /// # Errors
    /// If the execution cannot be read.
    pub(in crate::cli) async fn accepted(
        self,
        client: &Client,
        view: &MessageView,
        json: bool,
    ) -> anyhow::Result<ExitCode> {
        let accepted = match view.state {
            InboxState::Applied => serde_json::from_value::<ExecutionAccepted>(view.result.clone()).ok(),
            InboxState::Dead | InboxState::Refused => None,
        };
        let Some(accepted) = accepted else {
            return Ok(outcome::show(view, json));
        };
        let execution = client.execution(&accepted.execution.to_string()).await?;
        if !json {
            let elements = outcome::elements(accepted.elements, accepted.dry_run);
            output::line(&format!("accepted as execution {}: {elements}", execution.number));
            if accepted.dry_run {
                output::note("a dry run changes nothing on devices; --apply does");
            }
        }
        if self.wait || (!self.no_wait && output::size().is_some()) {
            return watch::watch(client, execution, json).await;
        }
        if json {
            output::json(&execution);
        }
        Ok(ExitCode::SUCCESS)
    }
}
