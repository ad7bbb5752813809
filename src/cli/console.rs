use std::process::ExitCode;

use clap::Args;

use super::{Global, output};
use crate::config::Overrides;
use crate::roles;

/// Serve the HTTP API: accepts events and commands, shows outcomes and devices
///
/// Needs a broker and a database. Clients need one of the tokens in [[console.tokens]] of the configuration.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep console
  lockstep console --listen 0.0.0.0:8910")]
pub(super) struct Console {
    /// Address and port to listen on [default: 127.0.0.1:8910]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

impl Console {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let overrides = Overrides {
            listen: self.listen,
            ..Overrides::default()
        };
        let config = global.role(overrides)?;
        let started = |address| output::line(&format!("the console listens on {address}"));
        roles::console(&config, started).await?;
        Ok(ExitCode::SUCCESS)
    }
}
