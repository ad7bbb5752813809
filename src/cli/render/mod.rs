//! `lockstep render`: shows the configuration that a device should have.

mod offline;
mod online;
mod variables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::{CommitId, DeviceType, Hostname};

pub(super) use offline::inventory;

use super::Global;

/// Show the configuration that a device should have
///
/// A worker renders it from the accepted commits, without contacting the device. With --settings, --templates and --inventory it is rendered
/// here, from two folders and a file, without a running system, so it fits in the CI of a repository. Prints exactly the bytes of the
/// configuration; problems go to stderr, with their place.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep render sw1
  lockstep render sw1 --commit 1f3c9a7be02d4d5e8f60718293a4b5c6d7e8f901
  lockstep render sw1 --settings ../settings --templates . --inventory fleet.yml
  lockstep render sw1 --settings . --templates ../templates --inventory fleet.yml \\
      --variables overlay.yml
  lockstep render sw1 --settings . --templates ../templates --inventory fleet.yml --origins

Exit codes: 0 success, 1 the configuration cannot be rendered, 2 wrong usage.")]
pub(super) struct Render {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    host: Hostname,
    /// Render from this commit of the settings or of the templates instead of the accepted one
    #[arg(long, value_name = "COMMIT", conflicts_with = "settings")]
    commit: Option<CommitId>,
    /// Show how the configuration changes from --commit, or the accepted commits, to this commit
    #[arg(long, value_name = "COMMIT", conflicts_with = "settings")]
    diff: Option<CommitId>,
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
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match (&self.settings, &self.templates, &self.inventory) {
            (Some(settings), Some(templates), Some(inventory)) => {
                offline::run(&self, settings, templates, inventory, global)
            }
            _ => online::run(self.host, self.commit, self.diff, global).await,
        }
    }
}
