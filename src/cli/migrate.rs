use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{Global, output};
use crate::config::Overrides;
use crate::roles;

/// Brings the store's schema up to date
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep migrate
  LOCKSTEP__STORE__URL_FILE=/run/secrets/store lockstep migrate --json")]
pub(super) struct Migrate {}

impl Migrate {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.role(Overrides::default())?;
        let migrated = roles::migrate(&config).await?;
        if global.json {
            output::json(&json!({"version": migrated.version, "applied": migrated.applied}));
            return Ok(ExitCode::SUCCESS);
        }
        for name in &migrated.applied {
            output::line(&format!("applied {name}"));
        }
        output::line(&format!("the store has version {}", migrated.version));
        Ok(ExitCode::SUCCESS)
    }
}
