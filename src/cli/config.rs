use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, output};
use crate::config::Overrides;

/// Shows the configuration
#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Prints what is in effect, with secrets masked, or everything that is wrong
    #[command(after_help = "Examples:
  lockstep config check
  LOCKSTEP__WORKER__PREFETCH=500 lockstep config check --config lockstep.toml --json")]
    Check,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let What::Check = self.what;
        match global.configuration(Overrides::default()) {
            Ok(config) if global.json => output::json(&config.shown()),
            Ok(config) => {
                let text =
                    toml::to_string_pretty(&config.shown()).context("cannot write the configuration")?;
                output::line(text.trim_end());
            }
            Err(problems) => {
                if global.json {
                    output::json(&json!({"problems": problems.0}));
                }
                return Err(problems.into());
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
