use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::counted;
use lockstep_protocol::rest::SessionsEnd;

use super::output;
use crate::cli::Global;
use crate::cli::client::Client;

/// End every session of a person at once; tokens of the person stay
///
/// Revoke tokens with `lockstep tokens revoke`, and take the groups from the account at the identity provider: otherwise the person logs in
/// again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sessions end alice --reason 'left the company'
  lockstep sessions end alice --release-account --reason 'new account after a marriage'")]
pub(super) struct End {
    /// Name of the person or the service
    #[arg(value_name = "NAME")]
    name: String,
    /// Also release the account at the identity provider: another account may get this name, and the account another one
    #[arg(long)]
    release_account: bool,
}

impl End {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let request = SessionsEnd {
            release_account: self.release_account,
            reason: None,
        };
        let ended = Client::new(global)?.end_sessions(&self.name, &request).await?;
        if global.json {
            output::json(&ended);
            return Ok(ExitCode::SUCCESS);
        }
        let sessions = counted(usize::try_from(ended.ended).unwrap_or(usize::MAX), "session");
        output::line(&format!("{}: ended {sessions}", ended.principal));
        if self.release_account {
            output::line(if ended.released {
                "the account at the identity provider is released"
            } else {
                "no account at the identity provider has this name"
            });
        }
        Ok(ExitCode::SUCCESS)
    }
}
