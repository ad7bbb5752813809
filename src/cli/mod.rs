//! The command line, one file for each command. Commands that act on a running system are clients of the console.

mod affected;
mod audit;
mod await_outcome;
mod check;
mod client;
mod completions;
mod config;
mod console;
mod cvp;
mod dead;
mod demo;
mod devices;
mod doctor;
mod elements;
mod executions;
mod explain;
mod failure;
mod gateway;
mod groups;
mod list;
mod man;
mod messages;
mod migrate;
mod outcome;
mod providers;
mod publish;
mod render;
mod repositories;
mod request;
mod response;
mod schedules;
mod schema;
#[cfg(feature = "simulators")]
mod sessions;
mod simulate;
mod stop_all;
mod sync;
mod tasks;
mod tokens;
mod up;
mod worker;
mod yaml;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand};
use secrecy::SecretString;

use crate::config::{Config, ConfigProblems, Overrides};
use crate::terminal as output;
use crate::{local_file, roles, telemetry};

/// Keep network devices in sync with their intended configuration
#[derive(Debug, Parser)]
#[command(name = "lockstep", version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "Examples:
  lockstep demo                               a tour, without any set-up
  lockstep up                                 run everything in one process
  lockstep devices import fleet.yml           import devices
  lockstep devices list --unsynchronized      list devices that need a synchronization
  lockstep tasks run uptime --host sw1        run a task on a device, as a dry run
  lockstep executions list                    list what ran, and what is running
  lockstep dead list                          list messages that could not be processed
  lockstep publish lockstep.interface.updated --wait \\
      --data '{\"hostname\": \"sw1\", \"kind\": \"configuration\", \"interfaces\": [{\"name\": \"Ethernet1\"}]}'

Exit codes: 0 success, 1 failure, 2 wrong usage, 75 accepted with an unknown outcome, 78 invalid configuration.";

/// Options of every command. They may stand before or after it.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Configuration file [default: ./lockstep.toml if it exists]
    #[arg(long, global = true, env = "LOCKSTEP_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the console [default: that of `lockstep up` on this machine]
    #[arg(long, global = true, env = "LOCKSTEP_URL", value_name = "URL")]
    url: Option<String>,
    /// Token for the console [default: that of `lockstep up` on this machine]
    #[arg(
        long,
        global = true,
        env = "LOCKSTEP_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    token: Option<SecretString>,
    /// File with the token for the console
    #[arg(
        long,
        global = true,
        env = "LOCKSTEP_TOKEN_FILE",
        value_name = "FILE",
        conflicts_with = "token"
    )]
    token_file: Option<PathBuf>,
    /// Why, for the audit of the console
    #[arg(long, global = true, value_name = "TEXT")]
    reason: Option<String>,
    /// Print JSON, for scripts; errors, too, each as a line on stderr
    #[arg(long, global = true)]
    json: bool,
    /// Log more; give it twice for even more
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Up),
    Worker(worker::Worker),
    Console(console::Console),
    Gateway(gateway::Gateway),
    Migrate(migrate::Migrate),
    Publish(publish::Publish),
    Devices(devices::Devices),
    Groups(groups::Groups),
    Sync(sync::Sync),
    Tasks(tasks::Tasks),
    Executions(executions::Executions),
    Elements(elements::Elements),
    StopAll(stop_all::StopAll),
    ResumeAll(stop_all::ResumeAll),
    Schedules(schedules::Schedules),
    Providers(providers::Providers),
    Repositories(repositories::Repositories),
    Dead(dead::Dead),
    Messages(messages::Messages),
    Explain(explain::Explain),
    Tokens(tokens::Tokens),
    Sessions(sessions::Sessions),
    Audit(audit::Audit),
    Affected(affected::Affected),
    Render(render::Render),
    Check(check::Check),
    Cvp(cvp::Cvp),
    Schema(schema::Schema),
    #[cfg(feature = "simulators")]
    Simulate(simulate::Simulate),
    Config(config::ConfigCommand),
    Doctor(doctor::Doctor),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
}

pub(crate) use completions::complete_if_asked;

/// Reads the command line. Prints the help or the problem and exits, if there is nothing to run.
pub(crate) fn parse() -> Cli {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    if failure::wants_json(&arguments) {
        output::errors_as_json();
    }
    Cli::try_parse_from(&arguments).unwrap_or_else(|error| {
        if error.use_stderr() && check::is_called_by(&arguments) {
            std::process::exit(check::wrong_usage(&error, failure::wants_json(&arguments)))
        }
        if error.use_stderr() && failure::wants_json(&arguments) {
            output::failure(&failure::usage(&error));
            std::process::exit(error.exit_code())
        }
        // The error repeats arguments, which scripts take from elsewhere. Visible ones mostly have the same problem.
        let shown = arguments
            .iter()
            .map(|argument| output::shown(&argument.to_string_lossy()));
        if let Err(error) = Cli::try_parse_from(shown) {
            error.exit()
        }
        output::error(&error.to_string());
        std::process::exit(error.exit_code())
    })
}

/// Runs a command.
///
/// # Errors
/// The error of the command, for [`report`].
pub(crate) async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    match command {
        Command::Up(command) => command.run(&global).await,
        Command::Worker(command) => command.run(&global).await,
        Command::Console(command) => command.run(&global).await,
        Command::Gateway(command) => command.run(&global).await,
        Command::Migrate(command) => command.run(&global).await,
        Command::Publish(command) => command.run(&global).await,
        Command::Devices(command) => command.run(&global).await,
        Command::Groups(command) => command.run(&global).await,
        Command::Sync(command) => command.run(&global).await,
        Command::Tasks(command) => command.run(&global).await,
        Command::Executions(command) => command.run(&global).await,
        Command::Elements(command) => command.run(&global).await,
        Command::StopAll(command) => command.run(&global).await,
        Command::ResumeAll(command) => command.run(&global).await,
        Command::Schedules(command) => command.run(&global).await,
        Command::Providers(command) => command.run(&global).await,
        Command::Repositories(command) => command.run(&global).await,
        Command::Dead(command) => command.run(&global).await,
        Command::Explain(command) => command.run(&global).await,
        Command::Messages(command) => command.run(&global).await,
        Command::Tokens(command) => command.run(&global).await,
        Command::Sessions(command) => command.run(&global).await,
        Command::Audit(command) => command.run(&global).await,
        Command::Affected(command) => command.run(&global),
        Command::Render(command) => command.run(&global).await,
        Command::Check(command) => Ok(command.run(&global).await),
        Command::Cvp(command) => command.run(&global).await,
        Command::Schema(command) => Ok(command.run()),
        #[cfg(feature = "simulators")]
        Command::Simulate(command) => command.run(&global).await,
        Command::Config(command) => command.run(&global),
        Command::Doctor(command) => command.run(&global).await,
        Command::Demo(command) => command.run(&global).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

/// The arguments contradict each other or something is missing; the exit code is 2.
#[derive(Debug)]
struct UsageError(String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Prints an error with all its causes, and returns the exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let failure = failure::of(error);
    output::failure(&failure);
    ExitCode::from(failure.exit_code)
}

/// A secret in a file that an option names. Warns if others may read or change the file.
///
/// # Errors
/// If it cannot be read, or every user may write it.
fn secret_file(path: &Path) -> anyhow::Result<SecretString> {
    let contents = local_file::read(path, local_file::Origin::Named)?;
    let secret = contents.text.trim_end().to_owned();
    for warning in contents.warnings() {
        output::note(&format!("warning: {warning}"));
    }
    Ok(secret.into())
}

impl Global {
    /// The configuration, with settings from flags.
    fn configuration(&self, overrides: Overrides) -> Result<Config, ConfigProblems> {
        Config::load(self.config.as_deref(), overrides)
    }

    /// The configuration of a long-running process; also starts its telemetry.
    fn role(&self, overrides: Overrides) -> anyhow::Result<Config> {
        let config = self.configuration(overrides)?;
        telemetry::start(&config, self.verbose, roles::http_client)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// All commands below this one: path and examples.
    fn commands(command: &clap::Command, path: &str) -> Vec<(String, String)> {
        let own = format!("{path} {}", command.get_name());
        let children: Vec<_> = command
            .get_subcommands()
            .filter(|child| child.get_name() != "help")
            .collect();
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let below = children.into_iter().flat_map(|child| commands(child, &own));
        let below: Vec<(String, String)> = below.collect();
        std::iter::once((own, help)).chain(below).collect()
    }

    #[test]
    fn the_help_of_every_command_has_an_example_of_it() {
        let commands = commands(&Cli::command(), "");
        assert!(commands.len() > 10);
        for (path, help) in commands {
            assert!(
                help.contains("Example") && help.contains(path.trim_start()),
                "{path}: {help:?}"
            );
        }
    }

    /// The examples of a help text, continued lines joined.
    fn examples(help: &str) -> Vec<String> {
        let text = help.replace("\\\n      ", " ");
        let lines = text.lines().skip_while(|line| !line.starts_with("Example"));
        let lines = lines.skip(1).map_while(|line| line.strip_prefix("  "));
        lines.map(str::to_owned).collect()
    }

    /// The command lines with which a line of a shell starts `lockstep`. Other programs are replaced by ones that print a commit.
    /// Each command line is recorded by one write, because those of a pipe run at the same time.
    fn started(folder: &Path, line: &str) -> Vec<Vec<OsString>> {
        use std::os::unix::ffi::OsStringExt;

        let script = "mkdir -p .local/share/bash-completion/completions .zfunc .config/fish/completions
            lockstep() { printf '%s\\0' lockstep \"$@\" $'\\n' >>started; }
            for other in git jq rabbitmqctl; do eval \"$other() { echo 6113728f27ae82c7b1a177c8d03f9e96e0adf246; }\"; done\n";
        let mut command = std::process::Command::new("bash");
        command
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(std::process::Stdio::null());
        let status = command.arg("-c").arg(format!("{script}{line}")).status().unwrap();
        assert!(status.success(), "{line}: {status}");
        let recorded = std::fs::read(folder.join("started")).unwrap_or_default();
        let _ = std::fs::remove_file(folder.join("started"));
        let words = |line: &[u8]| -> Vec<OsString> {
            let words = line.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            words.map(|word| OsString::from_vec(word.to_vec())).collect()
        };
        let lines = recorded.split(|byte| *byte == b'\n').map(words);
        lines.filter(|words| !words.is_empty()).collect()
    }

    #[test]
    fn every_example_is_a_command_line_that_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        let mut count = 0;
        for (path, help) in commands(&Cli::command(), "") {
            // Longer lines of a help text are broken where there is no terminal, and an example does not work then.
            for line in help.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.len() <= 100, "{path}: {line}");
            }
            for example in examples(&help) {
                // The first help text explains each of its examples, after some blanks.
                let line = example.split("    ").next().unwrap_or_default();
                for words in started(folder.path(), line) {
                    if let Err(error) = Cli::try_parse_from(&words) {
                        panic!("{path}: {line}: {error}");
                    }
                    count += 1;
                }
            }
        }
        assert!(count > 60, "{count} examples");
    }

    #[test]
    fn global_options_may_stand_before_or_after_the_command() {
        for line in [
            "lockstep --json --url http://x devices list",
            "lockstep devices list --json --url http://x",
        ] {
            let cli = Cli::try_parse_from(line.split(' ')).unwrap();
            assert!(
                cli.global.json && cli.global.url.as_deref() == Some("http://x"),
                "{line}"
            );
        }
    }
}
