use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use serde_json::json;

use super::{Global, output};
use crate::config::{EXAMPLE, Overrides};

/// Check the configuration, or show an example of it
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep config check
  lockstep config example | less")]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print the effective configuration, with secrets masked, or list all problems
    ///
    /// The configuration is read from the file, then from variables (`LOCKSTEP__SECTION__KEY`), then from flags. The exit code is 78
    /// if it has problems.
    #[command(after_help = "Examples:
  lockstep config check
  lockstep config check --config /etc/lockstep/lockstep.toml
  LOCKSTEP__WORKER__PREFETCH=500 lockstep config check --json | jq .worker")]
    Check,
    /// Print a configuration file that explains every key
    ///
    /// It has the defaults. Lines that begin with `#:` are examples: remove the two characters to use one.
    #[command(after_help = "Examples:
  lockstep config example > example.toml
  lockstep config example | less")]
    Example,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::Check => check(global),
            What::Example => {
                output::document(EXAMPLE.trim_end());
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

fn check(global: &Global) -> anyhow::Result<ExitCode> {
    match global.configuration(Overrides::default()) {
        Ok(config) if global.json => output::json(&config.effective),
        Ok(config) => {
            let text = toml::to_string_pretty(&config.effective).context("cannot write the configuration")?;
            output::document(text.trim_end());
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
