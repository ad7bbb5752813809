use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use lockstep_protocol::rest::TokenRotation;

use super::{duration, print_secret};
use crate::cli::Global;
use crate::cli::client::Client;

/// Give a token a new secret, and print it; the former one is accepted for a while
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens rotate alice-laptop
  lockstep tokens rotate backup --grace 0s --reason 'was in a log' > backup.token
  lockstep tokens rotate alice-laptop --expires 90d")]
pub(super) struct Rotate {
    /// Name of the token
    #[arg(value_name = "NAME")]
    name: String,
    /// How long the former secret is accepted [default: 1d]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    grace: Option<Duration>,
    /// How long the token is accepted from now on [default: its end stays]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    expires: Option<Duration>,
}

impl Rotate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let rotation = TokenRotation {
            grace_seconds: self.grace.map(|grace| grace.as_secs()),
            expires_in_seconds: self.expires.map(|expires| expires.as_secs()),
            reason: None,
        };
        let answer = Client::new(global)?.rotate_token(&self.name, &rotation).await?;
        print_secret(&answer, global.json);
        Ok(ExitCode::SUCCESS)
    }
}
