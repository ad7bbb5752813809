use std::process::ExitCode;

use clap::Args;

use super::{Global, output};
use crate::config::Overrides;
use crate::roles;

/// Takes webhooks of forges, and events of services
///
/// A forge sends to /webhooks/github/settings, or gitlab, gitea, forgejo, bitbucket; and settings or templates. It signs with the
/// `webhook_secret` of that repository. Services send events to /v1/events, with one of the gateway's tokens.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep gateway
  lockstep gateway --listen 0.0.0.0:8911")]
pub(super) struct Gateway {
    /// Address and port
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
