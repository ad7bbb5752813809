use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::{GroupDetail, GroupView};
use lockstep_protocol::{GroupName, counted};

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// Show a group: its rule, the numbers of its members, and the first of them
///
/// The rule is that of global/groups.yml in the accepted settings. Other members are those that an inventory lists. `lockstep devices list
/// --group GROUP` lists all members.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep groups show DEFAULT
  lockstep groups show DEFAULT --json | jq .group.primary")]
pub(super) struct Show {
    /// Name of the group; upper and lower case differ
    #[arg(value_name = "GROUP", value_parser = name)]
    name: GroupName,
}

impl Show {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let detail = Client::new(global)?.group(self.name.as_str()).await?;
        if global.json {
            output::json(&detail);
            return Ok(ExitCode::SUCCESS);
        }
        let GroupDetail { group, devices, next } = detail;
        for line in fields(&group) {
            output::line(&line);
        }
        if !devices.is_empty() {
            output::line("");
            let first = if next.is_some() {
                format!("The first {}:", counted(devices.len(), "member"))
            } else {
                "Members:".to_owned()
            };
            output::line(&first);
            for device in devices {
                output::line(&format!("  {device}"));
            }
        }
        if next.is_some() {
            output::line(&format!(
                "`lockstep devices list --group {}` lists all",
                group.name
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn fields(group: &GroupView) -> Vec<String> {
    let rule = group.rule.as_ref();
    let absent = || "-".to_owned();
    let pairs = [
        ("name", group.name.to_string()),
        ("rule", rule.map_or_else(absent, super::rule)),
        (
            "priority",
            rule.map_or_else(absent, |rule| match rule.priority {
                0 => "0, never primary".to_owned(),
                priority => priority.to_string(),
            }),
        ),
        (
            "location",
            group
                .location
                .map_or_else(absent, |is| if is { "yes" } else { "no" }.to_owned()),
        ),
        (
            "members",
            format!(
                "{}: {} by rule, {} by list",
                group.members, group.by_rule, group.listed
            ),
        ),
        ("primary of", counted(group.primary, "device")),
    ];
    pairs
        .into_iter()
        .map(|(name, value)| format!("{name:<14}{value}"))
        .collect()
}

/// Parses the name of a group.
fn name(text: &str) -> Result<GroupName, String> {
    GroupName::try_from(text.to_owned()).map_err(|error| error.to_string())
}
