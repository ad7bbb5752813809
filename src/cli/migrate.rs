use std::process::ExitCode;

use clap::Args;
use lockstep_store::Migrated;
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
            let Migrated {
                version,
                known,
                applied,
            } = migrated;
            output::json(&json!({"version": version, "known": known, "applied": applied}));
            return Ok(ExitCode::SUCCESS);
        }
        for name in &migrated.applied {
            output::line(&format!("applied {name}"));
        }
        output::line(&format!("the store has version {}", migrated.version));
        if migrated.version > migrated.known {
            output::line(&format!(
                "that is newer than this program, which is made for {} and may work on it: nothing was changed",
                migrated.known
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
