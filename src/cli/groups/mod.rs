//! Commands for groups.

mod list;
mod show;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use lockstep_protocol::rest::GroupRuleView;

use super::Global;

/// List groups of devices, and show one with its rule and its members
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep groups list
  lockstep groups show DEFAULT
  lockstep devices list --group DEFAULT")]
pub(super) struct Groups {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(list::List),
    Show(show::Show),
}

impl Groups {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.what {
            What::List(command) => command.run(global).await,
            What::Show(command) => command.run(global).await,
        }
    }
}

/// What makes a device a member by the accepted settings.
fn rule(rule: &GroupRuleView) -> String {
    match &rule.regex {
        Some(regex) if regex.is_empty() => "every hostname".to_owned(),
        Some(regex) => format!("hostnames that match {regex}"),
        None => format!(
            "a list of {}",
            lockstep_protocol::counted(rule.hostnames, "hostname")
        ),
    }
}
