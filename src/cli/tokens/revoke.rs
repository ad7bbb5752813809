use std::process::ExitCode;

use clap::Args;

use super::show;
use crate::cli::Global;
use crate::cli::client::Client;

/// Revoke a token for good; consoles refuse it within seconds
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens revoke alice-laptop
  lockstep tokens revoke backup --reason 'laptop was stolen'")]
pub(super) struct Revoke {
    /// Name of the token
    #[arg(value_name = "NAME")]
    name: String,
}

impl Revoke {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let token = Client::new(global)?.revoke_token(&self.name).await?;
        show::print(&token, global.json);
        Ok(ExitCode::SUCCESS)
    }
}
