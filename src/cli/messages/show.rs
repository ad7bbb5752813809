use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use lockstep_protocol::{Identity, InboxState, MessageId, Source};

use crate::cli::client::Client;
use crate::cli::{Global, UsageError, outcome, output};

/// Show what became of a message: its sender, its outcome and the time
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep messages show 0198e7a2-6f3c-7b11-9d1e-2f8a4c5b6d70
  lockstep messages show 4711 --source urn:example:netbox --by netbox")]
pub(in crate::cli) struct Show {
    /// Id of the message
    id: String,
    /// Source of the message
    #[arg(long, default_value = "urn:lockstep:cli")]
    source: String,
    /// Sender of the message: a token or a broker user. Default: the own token, or the forge of a webhook
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

impl Show {
    pub(in crate::cli) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let identity = Identity {
            source: Source::try_from(self.source).map_err(|error| UsageError(format!("--source {error}")))?,
            id: MessageId::try_from(self.id).map_err(|error| UsageError(format!("the id {error}")))?,
        };
        let sender = self.by.as_deref().map(|by| ("by", by));
        let view = Client::new(global)?
            .outcome_now(&identity, sender.as_slice())
            .await?;
        let Some(view) = view else {
            bail!(
                "{identity} is not processed yet, or was never published; name its sender with --by if that is not this token"
            );
        };
        if global.json {
            output::json(&view);
            return Ok(ExitCode::SUCCESS);
        }
        let (state, result) = match view.state {
            InboxState::Applied => ("applied", outcome::effect(&view)),
            InboxState::Dead => ("dead-lettered", outcome::rejection(&view)),
            InboxState::Refused => ("refused, without a dead letter", outcome::rejection(&view)),
        };
        for (name, value) in [
            ("type", view.kind.clone()),
            ("state", state.to_owned()),
            ("at", format!("{:.0}", view.at)),
            ("by", view.by.clone().unwrap_or_else(|| "-".to_owned())),
            ("result", result),
        ] {
            output::line(&format!("{name:<8}{value}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
