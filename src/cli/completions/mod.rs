mod values;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_complete::Shell;
use clap_complete::env::{CompleteEnv, Shells};

use super::{Cli, output};

/// The variable by which a shell asks for completions.
const VARIABLE: &str = "LOCKSTEP_COMPLETE";

/// Print completions for a shell
///
/// The shell then runs `lockstep` at each completion, so that it also knows hostnames, groups, tasks, schedules, repositories, providers
/// and executions: those of the console that the command line or the environment names, else of `lockstep up` on this machine. Print them
/// again after an upgrade.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  source <(lockstep completions bash)
  lockstep completions bash > ~/.local/share/bash-completion/completions/lockstep
  lockstep completions zsh > ~/.zfunc/_lockstep
  lockstep completions fish > ~/.config/fish/completions/lockstep.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let shells = Shells::builtins();
        let shell = shells
            .completer(&self.shell.to_string())
            .with_context(|| format!("there are no completions for {}", self.shell))?;
        let mut script = Vec::new();
        shell.write_registration(VARIABLE, "lockstep", "lockstep", "lockstep", &mut script)?;
        output::document(String::from_utf8(script)?.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// Answers a shell that asks for completions, and ends. Does nothing if this process was started for something else.
pub(crate) fn complete_if_asked() {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

fn command() -> Command {
    values::with_values(Cli::command())
}
