use std::process::ExitCode;

use clap::Args;

use super::selection::{self, Selection};
use super::target::Target;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List the devices that a sync run would contact, and those that it would skip, with the reason
///
/// Only MANAGED devices are contacted, and of these the unsynchronized ones; with --resync, the synchronized ones, too. A device that is
/// named by --host is contacted whatever its flag. Nothing is done to any device.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep sync select --all
  lockstep sync select --group DEFAULT --resync
  lockstep sync select --host sw1
  lockstep sync select --all --json | jq -r '.skipped[].hostname'")]
pub(super) struct Select {
    #[command(flatten)]
    target: Target,
    /// Contact synchronized devices, too
    #[arg(long)]
    resync: bool,
}

impl Select {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let targets = self.target.required()?;
        let selection = selection::read(&Client::new(global)?, &targets, self.resync).await?;
        if global.json {
            output::json(&selection);
            return Ok(ExitCode::SUCCESS);
        }
        output::line(&selection.summary());
        let rows = rows(&selection);
        if !rows.is_empty() {
            output::line("");
            output::lines(&output::table(["HOSTNAME", "SELECTED", "REASON"], &rows), None);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn rows(selection: &Selection) -> Vec<[String; 3]> {
    let selected = selection.selected.iter();
    let selected = selected.map(|hostname| [hostname.to_string(), "yes".to_owned(), "-".to_owned()]);
    let skipped = selection.skipped.iter();
    let skipped = skipped.map(|device| {
        [
            device.hostname.to_string(),
            "no".to_owned(),
            device.reason.clone(),
        ]
    });
    selected.chain(skipped).collect()
}
