use std::process::ExitCode;

use clap::Args;
use lockstep_external::Program;

use crate::cli::output;

/// Ask a program which provider it is, check its answer, and print it for the configuration
///
/// The program is started as workers start it: bounded, without a shell, with a small environment. The file with the output is the `description`
/// of [providers.NAME] on consoles and workers.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  lockstep providers describe /usr/bin/python3 /opt/providers/uptime.py > uptime.json")]
pub(super) struct Describe {
    /// Executable, with an absolute path, and its arguments
    #[arg(
        value_name = "COMMAND",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<String>,
}

impl Describe {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let description = Program::new(self.command).describe().await?;
        output::json(&description);
        Ok(ExitCode::SUCCESS)
    }
}
