use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::FactView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List what providers found out about a device, such as the output of show commands
///
/// A value is shown in one line; --json has it in full. Columns: key, value, found, element. The list is ordered by key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices facts sw1
  lockstep devices facts sw1 --json | jq '.[].value'")]
pub(super) struct Facts {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    #[command(flatten)]
    options: ListOptions,
}

impl Facts {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<FactListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&FactListing {
            client: &client,
            hostname: &self.hostname,
        })
        .await
    }
}

/// The facts about a device.
struct FactListing<'a> {
    client: &'a Client,
    hostname: &'a Hostname,
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
        row.key.clone()
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<FactView>> {
        Ok(Page::all(self.client.facts(self.hostname.as_str()).await?))
    }

    fn empty() -> String {
        "no provider has found out anything about this device".to_owned()
    }
}
