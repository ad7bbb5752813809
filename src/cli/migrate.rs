use std::process::ExitCode;

use clap::Args;
use lockstep_store::Migrated;
use serde_json::json;

use super::{Global, output};
use crate::config::Overrides;
use crate::roles;

/// Migrate the store to the schema of this version
///
/// Run it with the new version before an upgrade. It may run again at any time; a store with a newer schema is left alone. As the
/// login PREFIX-migrate of `lockstep doctor --setup-database` it also gives PREFIX-worker and PREFIX-console exactly their rights.
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
                granted,
            } = migrated;
            output::json(
                &json!({"version": version, "known": known, "applied": applied, "granted": granted}),
            );
            return Ok(ExitCode::SUCCESS);
        }
        for name in &migrated.applied {
            output::line(&format!("applied {name}"));
        }
        for login in &migrated.granted {
            output::line(&format!("granted {login} the rights of its role"));
        }
        output::line(&format!("the store has schema version {}", migrated.version));
        if migrated.version > migrated.known {
            output::line(&format!(
                "nothing was changed: the schema is newer than version {} of this program, which can still use it",
                migrated.known
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}
