//! Values that completions ask the console for: hostnames, tasks and what else it knows.

use std::ffi::{OsStr, OsString};
use std::time::Duration;

use clap::{Arg, Command, Parser};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use tokio::time::timeout;

use crate::cli::Cli;
use crate::cli::client::Client;

/// How long a shell waits for values. It shows none when the console is slower or away.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most values that are shown.
const MOST: usize = 100;
/// The flags that say which console is asked, as they stand in the command line so far.
const CONSOLE_FLAGS: [&str; 4] = ["--config", "--url", "--token", "--token-file"];

/// What a value names.
#[derive(Clone, Copy)]
enum Kind {
    Host,
    Group,
    Task,
    Schedule,
    Repository,
    Provider,
    Execution,
}

impl Kind {
    /// By the name that the help has for the value.
    fn of(argument: &Arg) -> Option<Self> {
        match argument.get_value_names()?.first()?.as_str() {
            "HOST" => Some(Self::Host),
            "GROUP" => Some(Self::Group),
            "TASK" => Some(Self::Task),
            "SCHEDULE" => Some(Self::Schedule),
            "REPOSITORY" => Some(Self::Repository),
            "PROVIDER" => Some(Self::Provider),
            "EXECUTION" => Some(Self::Execution),
            _ => None,
        }
    }
}

/// The command with completions for the values of all its arguments that name something in the console.
pub(super) fn with_values(command: Command) -> Command {
    let complete = |argument: Arg| match Kind::of(&argument) {
        None => argument,
        Some(kind) => argument.add(ArgValueCompleter::new(move |begun: &OsStr| {
            candidates(kind, begun)
        })),
    };
    command.mut_args(complete).mut_subcommands(with_values)
}

/// Nobody reads errors while completing, so there are no candidates then.
fn candidates(kind: Kind, begun: &OsStr) -> Vec<CompletionCandidate> {
    let Some(begun) = begun.to_str() else {
        return Vec::new();
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let Ok(runtime) = runtime else {
        return Vec::new();
    };
    let answer = runtime.block_on(async { timeout(PATIENCE, values(kind, begun)).await });
    let values = answer.map_err(anyhow::Error::from).and_then(|values| values);
    let fitting = values
        .unwrap_or_default()
        .into_iter()
        .filter(|(value, _)| value.starts_with(begun));
    let candidate =
        |(value, help): (String, Option<String>)| CompletionCandidate::new(value).help(help.map(Into::into));
    fitting.take(MOST).map(candidate).collect()
}

/// Names that begin like this one or come after it, each with what helps to tell it from others.
async fn values(kind: Kind, begun: &str) -> anyhow::Result<Vec<(String, Option<String>)>> {
    let client = client(std::env::args_os())?;
    // No name ends with these.
    let after = begun.trim_end_matches(['-', '.']);
    let mut query = vec![("limit", MOST.to_string())];
    if !after.is_empty() {
        query.push(("after", after.to_owned()));
    }
    Ok(match kind {
        Kind::Host => {
            let devices = client.devices(&query).await?.devices.into_iter();
            devices
                .map(|device| (device.hostname.to_string(), None))
                .collect()
        }
        Kind::Group => {
            let groups = client.groups(&query).await?.groups.into_iter();
            groups.map(|group| (group.name.to_string(), None)).collect()
        }
        Kind::Task => {
            let tasks = client.tasks(&query).await?.tasks.into_iter();
            tasks.map(|task| (task.name, task.description)).collect()
        }
        Kind::Schedule => {
            let schedules = client.schedules(&query).await?.schedules.into_iter();
            schedules.map(|schedule| (schedule.name, None)).collect()
        }
        Kind::Repository => {
            let repositories = client.repositories().await?.into_iter();
            repositories
                .map(|repository| (repository.name.to_string(), None))
                .collect()
        }
        Kind::Provider => {
            let providers = client.providers().await?.into_iter();
            providers
                .map(|provider| (provider.name, Some(provider.description)))
                .collect()
        }
        // The newest ones.
        Kind::Execution => {
            let executions = client
                .executions(&[("limit", MOST.to_string())])
                .await?
                .executions
                .into_iter();
            let described = |execution: lockstep_protocol::rest::ExecutionView| {
                let help = format!("{} {}", execution.state, execution.task);
                (execution.number.to_string(), Some(help))
            };
            executions.map(described).collect()
        }
    })
}

/// The console that the command line so far names, else that of the environment or of this machine.
fn client(arguments: impl Iterator<Item = OsString>) -> anyhow::Result<Client> {
    let mut line: Vec<OsString> = ["lockstep", "config", "check"].map(OsString::from).into();
    line.extend(console_flags(arguments));
    Client::new(&Cli::try_parse_from(line)?.global)
}

fn console_flags(mut arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut flags = Vec::new();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if CONSOLE_FLAGS.contains(&&*text) {
            if let Some(value) = arguments.next().filter(|value| !value.is_empty()) {
                flags.extend([argument, value]);
            }
        } else if text
            .split_once('=')
            .is_some_and(|(flag, _)| CONSOLE_FLAGS.contains(&flag))
        {
            flags.push(argument);
        }
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_name_the_console_are_found_in_what_is_typed_so_far() {
        let found = |line: &str| {
            let flags = console_flags(line.split(' ').map(OsString::from));
            flags
                .into_iter()
                .map(|flag| flag.into_string().unwrap())
                .collect::<Vec<_>>()
                .join(" ")
        };
        let table = [
            ("lockstep -- lockstep devices show sw", ""),
            ("lockstep --url http://a:1 devices show", "--url http://a:1"),
            ("lockstep devices show --token-file=/t sw", "--token-file=/t"),
            (
                "lockstep devices list --columns x --config c.toml",
                "--config c.toml",
            ),
            ("lockstep devices show --url", ""),
        ];
        for (line, expected) in table {
            assert_eq!(found(line), expected, "{line}");
        }
    }
}
