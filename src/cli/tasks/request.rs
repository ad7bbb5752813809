//! What to run a task on, and how: the same options for a run and for a schedule.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use anyhow::bail;
use clap::{ArgAction, Args};
use jiff::{Span, SpanRelativeTo};
use lockstep_protocol::bounds::MAX_ENTITIES;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskReference, TaskRequested};
use lockstep_protocol::{GroupName, Hostname, counted};
use serde_json::{Map, Value};

use crate::cli::client::Client;
use crate::cli::devices::list::DeviceListing;
use crate::cli::{UsageError, list};

/// What to run on, and how.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct RunOptions {
    #[command(flatten)]
    selection: Selection,
    /// Change devices; without it, providers report what they would change
    #[arg(long)]
    apply: bool,
    #[command(flatten)]
    arguments: RunArguments,
    #[command(flatten)]
    limits: Limits,
}

/// What to run on. One of these must be given: nothing selected never means everything.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "What to run on")]
#[group(required = true, multiple = true)]
struct Selection {
    /// Devices with these hostnames
    #[arg(long, num_args = 1.., value_name = "HOST")]
    host: Vec<Hostname>,
    /// The devices that are members of these groups now
    #[arg(long, num_args = 1.., value_name = "GROUP", value_parser = group)]
    group: Vec<GroupName>,
    /// All devices that exist now
    #[arg(long, conflicts_with_all = ["host", "group", "execute_on", "on"])]
    all: bool,
    /// Entities by their kind and names: GROUP oslo, DEVICE sw1, INTERFACE "sw1 Ethernet1", CLIENT 44:4c:a8:00:00:01. The names are
    /// looked up when the run begins
    #[arg(long, num_args = 1.., value_names = ["TYPE", "NAME"], action = ArgAction::Set,
        conflicts_with_all = ["host", "group", "execute_on"])]
    on: Vec<String>,
    /// Entities by their kind and ids, such as DEVICE 1 2, INTERFACE 7 or GROUP 3; GLOBAL has no id
    #[arg(long, num_args = 1.., value_names = ["TYPE", "ID"], action = ArgAction::Set,
        conflicts_with_all = ["host", "group"])]
    execute_on: Vec<String>,
}

/// Arguments of a run.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct RunArguments {
    /// Argument of the run, such as count=3; may be given several times
    #[arg(long = "argument", value_name = "KEY=JSON", value_parser = argument)]
    arguments: Vec<(String, Value)>,
}

/// The limits of a run.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(in crate::cli) struct Limits {
    /// The most elements that run at once
    #[arg(long, value_name = "N")]
    at_once: Option<NonZeroU32>,
    /// Run this many first, and the others only if none of these failed
    #[arg(long, value_name = "N")]
    canary: Option<NonZeroU32>,
    /// After the canary, run so many at a time: the next ones begin when all of these ended
    #[arg(long, value_name = "N")]
    wave: Option<NonZeroU32>,
    /// Begin nothing more when more than this share of all elements failed
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(..=100))]
    max_failed: Option<u8>,
    /// Begin nothing more after this time, such as 1h, and stop what runs
    #[arg(long, value_name = "TIME", value_parser = deadline)]
    deadline: Option<NonZeroU32>,
}

impl From<Limits> for RunLimits {
    fn from(limits: Limits) -> Self {
        Self {
            at_once: limits.at_once,
            canary: limits.canary,
            wave: limits.wave,
            max_failed_percent: limits.max_failed,
            deadline_seconds: limits.deadline,
        }
    }
}

impl RunOptions {
    /// The request to run a task, with hostnames and groups resolved by the console.
    ///
    /// # Errors
    /// If a device does not exist, a group has no members, or the console cannot be asked.
    pub(in crate::cli) async fn request(
        self,
        client: &Client,
        task: TaskReference,
    ) -> anyhow::Result<TaskRequested> {
        let arguments = self.arguments.map()?;
        let Selected { kind, ids, names } = self.selection.resolve(client).await?;
        Ok(TaskRequested {
            task,
            execute_on: ids,
            execute_on_names: names,
            execute_on_type: kind,
            dry_run: !self.apply,
            arguments: if arguments.is_empty() {
                Value::Null
            } else {
                arguments.into()
            },
            limits: self.limits.into(),
        })
    }
}

impl RunArguments {
    /// The arguments by name.
    ///
    /// # Errors
    /// If one is given twice.
    pub(in crate::cli) fn map(self) -> Result<Map<String, Value>, UsageError> {
        let mut map = Map::new();
        for (name, value) in self.arguments {
            if map.contains_key(&name) {
                return Err(UsageError(format!("--argument {name} is given more than once")));
            }
            map.insert(name, value);
        }
        Ok(map)
    }
}

/// What a request names.
#[derive(Debug, PartialEq, Eq)]
struct Selected {
    kind: ExecuteOn,
    ids: Vec<u64>,
    names: Vec<String>,
}

impl Selection {
    async fn resolve(&self, client: &Client) -> anyhow::Result<Selected> {
        if !self.execute_on.is_empty() {
            return Ok(by_ids(&self.execute_on)?);
        }
        if !self.on.is_empty() {
            return Ok(by_names(&self.on)?);
        }
        let mut ids = BTreeSet::new();
        for hostname in &self.host {
            ids.insert(client.device(hostname.as_str()).await?.id);
        }
        for group in &self.group {
            let members = devices(client, vec![("group", group.to_string())]).await?;
            if members.is_empty() {
                bail!("no device is a member of group {group}; nothing was requested");
            }
            ids.extend(members);
        }
        if self.all {
            ids.extend(devices(client, Vec::new()).await?);
            if ids.is_empty() {
                bail!("there is no device yet; import some with `lockstep devices import FILE`");
            }
        }
        if ids.len() > MAX_ENTITIES {
            bail!(
                "{} are selected; one run takes at most {MAX_ENTITIES}, so run it on groups of them",
                counted(ids.len(), "device")
            );
        }
        Ok(Selected {
            kind: ExecuteOn::Device,
            ids: ids.into_iter().map(u64::try_from).collect::<Result<_, _>>()?,
            names: Vec::new(),
        })
    }
}

/// The ids of the devices that match.
async fn devices(client: &Client, filters: Vec<(&'static str, String)>) -> anyhow::Result<Vec<i64>> {
    let devices = list::all(&DeviceListing { client, filters }).await?;
    Ok(devices.into_iter().map(|device| device.id).collect())
}

/// The values of `--execute-on`.
fn by_ids(values: &[String]) -> Result<Selected, UsageError> {
    let wrong = |reason: String| UsageError(format!("--execute-on: {reason}"));
    let (kind, ids) = kind_and_others(values, "the ids to run on").map_err(wrong)?;
    let number = |id: &String| {
        id.parse::<u64>().map_err(|_| {
            wrong(format!(
                "{id:?} is not an id, which is a number; names go with --on"
            ))
        })
    };
    let ids = ids.iter().map(number).collect::<Result<_, _>>()?;
    let names = Vec::new();
    Ok(Selected { kind, ids, names })
}

/// The values of `--on`.
fn by_names(values: &[String]) -> Result<Selected, UsageError> {
    let wrong = |reason: String| UsageError(format!("--on: {reason}"));
    let (kind, names) = kind_and_others(values, "the names of what to run on").map_err(wrong)?;
    if kind == ExecuteOn::Interface
        && let Some(name) = names.iter().find(|name| !name.contains(' '))
    {
        let reason =
            format!("{name:?} has no hostname; write both in one argument, such as \"sw1 Ethernet1\"");
        return Err(wrong(reason));
    }
    Ok(Selected {
        kind,
        ids: Vec::new(),
        names: names.to_vec(),
    })
}

/// The kind of entity, and what follows it. The fleet stands alone.
fn kind_and_others<'a>(values: &'a [String], what: &str) -> Result<(ExecuteOn, &'a [String]), String> {
    let (kind, others) = values.split_first().ok_or_else(|| "has no value".to_owned())?;
    let kind: ExecuteOn = kind.to_uppercase().parse()?;
    match (kind, others.is_empty()) {
        (ExecuteOn::Global, false) => {
            Err("GLOBAL stands for the whole fleet, and has no id and no name".to_owned())
        }
        (ExecuteOn::Global, true) | (_, false) => Ok((kind, others)),
        (_, true) => Err(format!("{kind} needs {what}; for all devices, write --all")),
    }
}

fn group(text: &str) -> Result<GroupName, String> {
    GroupName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

fn argument(text: &str) -> Result<(String, Value), String> {
    let Some((name, json)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("write KEY=JSON, such as count=3".to_owned());
    };
    let value = serde_json::from_str(json).map_err(|error| {
        format!("the value is not JSON ({error}); a text has quotes, such as '{name}=\"text\"'")
    })?;
    Ok((name.to_owned(), value))
}

fn deadline(text: &str) -> Result<NonZeroU32, String> {
    let span = text.parse::<Span>().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    let seconds = duration.and_then(|duration| u32::try_from(duration.as_secs()).ok());
    seconds
        .and_then(NonZeroU32::new)
        .ok_or_else(|| "write a time such as 90s, 30m, 1h or 2d".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        options: RunOptions,
    }

    fn parse(line: &str) -> Result<RunOptions, clap::Error> {
        let words = std::iter::once("x").chain(line.split(' ').filter(|word| !word.is_empty()));
        Line::try_parse_from(words).map(|line| line.options)
    }

    #[test]
    fn something_must_be_selected_and_in_one_way() {
        for line in [
            "",
            "--apply",
            "--host",
            "--host --group a",
            "--group",
            "--all --host sw1",
            "--all --group a",
            "--execute-on DEVICE 1 --host sw1",
            "--execute-on DEVICE 1 --all",
            "--on DEVICE sw1 --all",
            "--on DEVICE sw1 --host sw1",
            "--on DEVICE sw1 --execute-on DEVICE 1",
            "--on",
            "--execute-on",
            "--host a_b",
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line:?}");
        }
        for line in [
            "--host sw1 sw2",
            "--host sw1 --host sw2",
            "--host sw1 --group a",
            "--all",
            "--execute-on GLOBAL",
            "--on GROUP oslo",
        ] {
            assert!(parse(line).is_ok(), "{line:?}");
        }
    }

    #[test]
    fn an_empty_name_is_no_selection() {
        for words in [["x", "--group", ""], ["x", "--host", ""]] {
            let error = Line::try_parse_from(words).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{words:?}");
        }
    }

    #[test]
    fn entities_are_a_kind_and_ids_or_names() {
        let words = |line: &str| -> Vec<String> { line.split(',').map(str::to_owned).collect() };
        let ids = |line: &str| {
            let selected = by_ids(&words(line)).map_err(|error| error.0);
            selected.map(|selected| (selected.kind, selected.ids))
        };
        let names = |line: &str| {
            let selected = by_names(&words(line)).map_err(|error| error.0);
            selected.map(|selected| (selected.kind, selected.names.join(",")))
        };
        assert_eq!(ids("DEVICE,1,2"), Ok((ExecuteOn::Device, vec![1, 2])));
        assert_eq!(ids("interface,7"), Ok((ExecuteOn::Interface, vec![7])));
        assert_eq!(ids("GLOBAL"), Ok((ExecuteOn::Global, vec![])));
        let interfaces = "sw1 Ethernet1,sw2 Ethernet1".to_owned();
        assert_eq!(
            names("interface,sw1 Ethernet1,sw2 Ethernet1"),
            Ok((ExecuteOn::Interface, interfaces))
        );
        assert_eq!(names("GROUP,7"), Ok((ExecuteOn::Group, "7".to_owned())));
        assert_eq!(names("GLOBAL"), Ok((ExecuteOn::Global, String::new())));
        for (line, expected) in [
            ("DEVICE", "needs the ids"),
            ("GLOBAL,1", "has no id"),
            ("DEVICE,sw1", "names go with --on"),
            ("SWITCH,1", "expected one of GLOBAL"),
        ] {
            let error = ids(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
        for (line, expected) in [
            ("CLIENT", "needs the names"),
            ("GLOBAL,fleet", "no name"),
            ("INTERFACE,Ethernet1", "has no hostname"),
        ] {
            let error = names(line).unwrap_err();
            assert!(error.contains(expected), "{line}: {error}");
        }
    }

    #[test]
    fn arguments_are_json_and_given_once() {
        let options = parse("--all --argument count=3 --argument a=\"b=c\"").unwrap();
        let map = options.arguments.map().unwrap();
        assert_eq!(Value::from(map), json!({"count": 3, "a": "b=c"}));
        for (text, expected) in [("count", "KEY=JSON"), ("=1", "KEY=JSON"), ("a=b", "'a=\"text\"'")] {
            let error = argument(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let twice = parse("--all --argument a=1 --argument a=2").unwrap();
        assert!(twice.arguments.map().is_err());
    }

    #[test]
    fn limits_are_bounded() {
        let options = parse("--all --at-once 5 --canary 2 --wave 7 --max-failed 0 --deadline 1h").unwrap();
        let limits = options.limits;
        let numbers = (
            limits.at_once.map(u32::from),
            limits.canary.map(u32::from),
            limits.wave.map(u32::from),
            limits.max_failed,
        );
        assert_eq!(numbers, (Some(5), Some(2), Some(7), Some(0)));
        assert_eq!(limits.deadline.map(u32::from), Some(3600));
        for line in [
            "--at-once 0",
            "--canary 0",
            "--wave 0",
            "--max-failed 101",
            "--deadline 0s",
            "--deadline soon",
            "--deadline 1",
            "--deadline 500y",
        ] {
            assert!(parse(&format!("--all {line}")).is_err(), "{line}");
        }
    }
}
