use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::ProviderView;

use super::show::steps;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List the providers of the console's version
///
/// RUNS-ON is the kind of entity that it runs on. Columns: name, runs-on, description, type, lane, steps, repeatable, deprecated. The list is
/// ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep providers list
  lockstep providers list -o wide")]
pub(super) struct List {
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<ProviderListing> = self.options.plan(global)?;
        plan.run(&ProviderListing(Client::new(global)?)).await
    }
}

/// The providers of the console: few, so they have no pages.
struct ProviderListing(Client);

impl Listing for ProviderListing {
    type Row = ProviderView;

    const NOUN: &'static str = "provider";

    const COLUMNS: &'static [Column<ProviderView>] = &[
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("runs-on", |row| Cell::maybe(row.run_on)),
        Column::shrinking("description", |row| Cell::text(&row.short_description)),
        Column::wide("type", |row| Cell::text(&row.provider_type)),
        Column::wide("lane", |row| Cell::text(&row.lane)),
        Column::wide("steps", |row| Cell::text(steps(row).join(", "))),
        Column::wide("repeatable", |row| Cell::Boolean(row.repeatable)),
        Column::wide("deprecated", |row| Cell::maybe(row.deprecated.as_ref())),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &ProviderView) -> String {
        row.name.clone()
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<ProviderView>> {
        Ok(Page::all(self.0.providers().await?))
    }
}
