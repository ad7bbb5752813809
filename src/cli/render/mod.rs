//! `lockstep render`: shows the configuration that a device should have.

mod offline;
mod variables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::{DeviceType, Hostname};

pub(super) use offline::inventory;

use super::{Global, UsageError};

/// Show the configuration that a device should have
///
/// Renders it from a folder of settings, a folder of templates and an inventory, without a running system, so it fits in the CI of a
/// repository. Prints exactly the bytes of the configuration; problems go to stderr, with their place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep render sw1 --settings ../settings --templates . --inventory fleet.yml
  lockstep render sw1 --settings . --templates ../templates --inventory fleet.yml \\
      --variables overlay.yml
  lockstep render sw1 --settings . --templates ../templates --inventory fleet.yml --origins

Exit codes: 0 success, 1 the configuration cannot be rendered, 2 wrong usage.")]
pub(super) struct Render {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    host: Hostname,
    /// Folder of the settings
    #[arg(long, value_name = "DIR", requires_all = ["templates", "inventory"])]
    settings: Option<PathBuf>,
    /// Folder of the templates
    #[arg(long, value_name = "DIR", requires = "settings")]
    templates: Option<PathBuf>,
    /// File with the devices: a YAML list, a Nornir inventory, or the output of `lockstep devices list --json`
    #[arg(long, value_name = "FILE", requires = "settings")]
    inventory: Option<PathBuf>,
    /// Type of devices without one in a Nornir inventory, such as ACCESS
    #[arg(long, value_name = "TYPE", requires = "inventory")]
    default_type: Option<DeviceType>,
    /// YAML or JSON file with variables that are laid over all others; with it, no management domain is needed
    #[arg(long, value_name = "FILE", requires = "settings")]
    variables: Option<PathBuf>,
    /// Show the variables and where each comes from instead of the configuration; with --json, their values, too
    #[arg(long, requires = "settings")]
    origins: bool,
}

impl Render {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match (&self.settings, &self.templates, &self.inventory) {
            (Some(settings), Some(templates), Some(inventory)) => {
                offline::run(&self, settings, templates, inventory, global)
            }
            _ => Err(UsageError(
                "--settings DIR, --templates DIR and --inventory FILE are needed".to_owned(),
            )
            .into()),
        }
    }
}
