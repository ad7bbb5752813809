use std::process::ExitCode;

use clap::Args;

use super::{Global, output};
use crate::config::Overrides;
use crate::roles;

/// Receive webhooks of git forges and events of services, and publish them
///
/// A forge sends webhooks to /webhooks/FORGE/REPOSITORY: FORGE is github, gitlab, gitea, forgejo or bitbucket; REPOSITORY is
/// settings or templates. The webhook must be signed with the `webhook_secret` of that repository. Services send events to
/// /v1/events, with one of the tokens in [[gateway.tokens]] of the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep gateway
  lockstep gateway --listen 0.0.0.0:8911")]
pub(super) struct Gateway {
    /// Address and port to listen on [default: 127.0.0.1:8911]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Gateway {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let overrides = Overrides {
            gateway_listen: self.listen.map(|address| ("--listen", address)),
            ..Overrides::default()
        };
        let config = global.role(overrides)?;
        let started = |address| output::line(&format!("the gateway listens on {address}"));
        roles::gateway(&config, started).await?;
        Ok(ExitCode::SUCCESS)
    }
}
