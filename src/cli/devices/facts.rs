use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::FactView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List what providers found out about a device, such as the output of show commands
///
/// A value is shown in one line; --json has it in full. With --history, the values that one fact had, the newest first, at most 100; a
/// value counts until another one is found. Columns: key, value, found, element. The list is ordered by key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices facts sw1
  lockstep devices facts sw1 --json | jq '.[].value'
  lockstep devices facts sw1 --key version --history")]
pub(super) struct Facts {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    /// Only the fact with this key
    #[arg(long)]
    key: Option<String>,
    /// Also the values that it had before
    #[arg(long, requires = "key")]
    history: bool,
    #[command(flatten)]
    options: ListOptions,
}

/// The most entries of a history in an answer of the console.
const MOST: u32 = 100;

impl Facts {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<FactListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&FactListing {
            client: &client,
            hostname: &self.hostname,
            query: history(self.key.as_deref(), self.history),
        })
        .await
    }
}

/// The query of one key: its newest entry, or as many as the console returns.
pub(super) fn history(key: Option<&str>, whole: bool) -> Vec<(&'static str, String)> {
    let limit = if whole { MOST } else { 1 };
    let key = key.map(|key| [("key", key.to_owned()), ("limit", limit.to_string())]);
    key.into_iter().flatten().collect()
}

/// The facts about a device.
struct FactListing<'a> {
    client: &'a Client,
    hostname: &'a Hostname,
    query: Vec<(&'static str, String)>,
}

impl Listing for FactListing<'_> {
    type Row = FactView;

    const NOUN: &'static str = "fact";

    const COLUMNS: &'static [Column<FactView>] = &[
        Column::new("key", |fact| Cell::text(&fact.key)),
        Column::shrinking("value", |fact| Cell::text(&fact.value)),
        Column::new("found", |fact| Cell::Time(fact.at)),
        Column::new("element", |fact| Cell::Number(fact.element)),
    ];

    const ORDER: &'static str = "key";

    fn key(row: &FactView) -> String {
        format!("{} {}", row.key, row.at)
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<FactView>> {
        let facts = self.client.facts(self.hostname.as_str(), &self.query).await?;
        Ok(Page::all(facts))
    }

    fn empty() -> String {
        "no provider has found out anything about this device".to_owned()
    }
}
