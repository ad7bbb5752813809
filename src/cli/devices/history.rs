use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::Hostname;
use lockstep_protocol::rest::HistoryEventView;

use super::explain;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List what happened to a device: its states and names, why it was not synchronized, and what closed that
///
/// Causes are kept as long as the outcome of their message, a month, and then as long as they are open; the history itself is kept
/// longer. Columns: time, event, by, what, generation, type, source, id. The list is ordered by time, the newest first.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep devices history sw1
  lockstep devices history sw1 --limit 10
  lockstep devices history sw1 --json | jq -r '.[].what'")]
pub(super) struct History {
    /// Hostname of the device
    #[arg(value_name = "HOST")]
    hostname: Hostname,
    #[command(flatten)]
    options: ListOptions,
}

/// The most events of a page of the console.
const MOST: usize = 100;

impl History {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<HistoryListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&HistoryListing {
            client: &client,
            hostname: &self.hostname,
        })
        .await
    }
}

/// The history of a device.
struct HistoryListing<'a> {
    client: &'a Client,
    hostname: &'a Hostname,
}

impl Listing for HistoryListing<'_> {
    type Row = HistoryEventView;

    const NOUN: &'static str = "event";

    const COLUMNS: &'static [Column<HistoryEventView>] = &[
        Column::new("time", |event| Cell::Time(event.at)),
        Column::new("event", |event| Cell::text(&event.what)),
        Column::new("by", |event| Cell::maybe(event.by.as_ref())),
        Column::shrinking("what", |event| Cell::text(explain::event(event))),
        Column::wide("generation", |event| {
            event.generation.map_or(Cell::Absent, Cell::count)
        }),
        Column::wide("type", |event| Cell::text(&event.event)),
        Column::wide("source", |event| Cell::text(&event.source)),
        Column::wide("id", |event| Cell::text(&event.id)),
    ];

    const ORDER: &'static str = "-time";

    fn key(row: &HistoryEventView) -> String {
        format!("{} {} {} {} {:?}", row.at, row.what, row.source, row.id, row.open)
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<HistoryEventView>> {
        let request = PageRequest {
            limit: request.limit.min(MOST),
            ..request
        };
        let query = request.uncounted("before");
        let page = self.client.device_history(self.hostname.as_str(), &query).await?;
        Ok(Page {
            rows: page.events,
            next: page.next,
            total: None,
        })
    }

    fn empty() -> String {
        "nothing is recorded about this device yet".to_owned()
    }
}
