use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, CommandFactory};

use super::{Cli, output};

/// Write the manual pages
///
/// One page for each command, such as `lockstep-devices-list.1`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep man pages
  lockstep man ~/.local/share/man/man1")]
pub(super) struct Man {
    /// The folder to write to; it is created if it does not exist
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl Man {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let folder = &self.folder;
        std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(Cli::command(), folder))
            .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
        output::document(&format!("manual pages are in {}", folder.display()));
        Ok(ExitCode::SUCCESS)
    }
}
