use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::DeadLetterState;
use lockstep_protocol::rest::DeadLetterView;

use super::filter::Filter;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List dead letters, the newest first
///
/// Without --state or --all-states it lists the unsettled ones: those that were neither requeued nor dropped yet. Columns: number,
/// state, age, type, subject, code, reason, place, lane, redrives, attempts, received, dead-lettered, source, id, by, settled,
/// settled-by, bytes. The list is ordered by descending number.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead list
  lockstep dead list --code unknown-device --type lockstep.interface.updated
  lockstep dead list --columns number,code,reason -o wide
  lockstep dead list --all-states --limit 1000 --json | jq -r '.[].reason'")]
pub(super) struct List {
    /// Only dead letters in this state: dead, requeued, processed or dropped [default: dead]
    #[arg(long)]
    state: Option<DeadLetterState>,
    /// Dead letters in every state
    #[arg(long, conflicts_with = "state")]
    all_states: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<DeadLetterListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&DeadLetterListing {
            client: &client,
            filters: self.filters(),
        })
        .await
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let mut filters = self.filter.query();
        if self.all_states {
            filters.push(("state", "all".to_owned()));
        }
        filters.extend(self.state.map(|state| ("state", state.to_string())));
        filters
    }
}

/// The dead letters of the console that match.
struct DeadLetterListing<'a> {
    client: &'a Client,
    filters: Vec<(&'static str, String)>,
}

impl Listing for DeadLetterListing<'_> {
    type Row = DeadLetterView;

    const NOUN: &'static str = "dead letter";

    const COLUMNS: &'static [Column<DeadLetterView>] = &[
        Column::new("number", |row| Cell::Number(row.number)),
        Column::new("state", |row| Cell::text(row.state)),
        Column::new("age", |row| Cell::age(Some(row.dead_lettered_at))),
        Column::shrinking("type", |row| Cell::text(&row.kind)),
        Column::new("subject", |row| Cell::maybe(row.subject.as_ref())),
        Column::new("code", |row| Cell::text(&row.code)),
        Column::shrinking("reason", |row| Cell::text(&row.reason)),
        Column::wide("place", |row| Cell::maybe(row.place.as_ref())),
        Column::wide("lane", |row| Cell::text(&row.lane)),
        Column::wide("redrives", |row| Cell::Number(row.redrive_count.into())),
        Column::wide("attempts", |row| Cell::Number(row.attempts.into())),
        Column::wide("received", |row| Cell::Time(row.first_at)),
        Column::wide("dead-lettered", |row| Cell::Time(row.dead_lettered_at)),
        Column::wide("source", |row| Cell::text(&row.source)),
        Column::wide("id", |row| Cell::text(&row.id)),
        Column::wide("by", |row| Cell::maybe(row.by.as_ref())),
        Column::wide("settled", |row| Cell::time(row.settled_at)),
        Column::wide("settled-by", |row| Cell::maybe(row.settled_by.as_ref())),
        Column::wide("bytes", |row| Cell::Number(row.bytes)),
    ];

    const ORDER: &'static str = "-number";

    fn key(row: &DeadLetterView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<DeadLetterView>> {
        let mut query = self.filters.clone();
        query.extend(request.parameters("before"));
        let page = self.client.dead_letters(&query).await?;
        Ok(Page {
            rows: page.dead_letters,
            next: page.next.map(|number| number.to_string()),
            total: page.total,
        })
    }
}
