use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::AuditView;

use super::Filter;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List what people did or tried, and what workers decided about it, the newest first
///
/// A command that goes through the console has two entries: one before it is published, with the outcome `asked`, and one of the worker that
/// decided about it, with the same id. Commands from the broker have only the latter. Columns: number, at, kind, principal, type, subject,
/// outcome, code, detail, reason, token, address, agent, user, trace, source, id. The list is ordered by descending number.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep audit list --since 1d
  lockstep audit list --kind login-failed --columns at,address,agent
  lockstep audit list --message 0198e79f-4b8e-7d31-a5c6-0d1e2f3a4b5c
  lockstep audit list --principal alice --json | jq -r '.[].message_id'")]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<AuditListing> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&AuditListing {
            client,
            filters: self.filter.query(),
        })
        .await
    }
}

/// The entries of the console that match.
struct AuditListing {
    client: Client,
    filters: Vec<(&'static str, String)>,
}

impl Listing for AuditListing {
    type Row = AuditView;

    const NOUN: &'static str = "audit entry";

    const COLUMNS: &'static [Column<AuditView>] = &[
        Column::new("number", |row| Cell::Number(row.number)),
        Column::new("at", |row| Cell::Time(row.at)),
        Column::new("kind", |row| Cell::text(row.kind)),
        Column::new("principal", |row| Cell::maybe(row.principal.as_ref())),
        Column::shrinking("type", |row| Cell::maybe(row.message_type.as_ref())),
        Column::new("subject", |row| Cell::maybe(row.subject.as_ref())),
        Column::new("outcome", |row| Cell::maybe(row.outcome)),
        Column::new("code", |row| Cell::maybe(row.code.as_ref())),
        Column::shrinking("detail", |row| Cell::maybe(row.detail.as_ref())),
        Column::shrinking("reason", |row| Cell::maybe(row.reason.as_ref())),
        Column::wide("token", |row| Cell::maybe(row.token.as_ref())),
        Column::wide("address", |row| Cell::maybe(row.address.as_ref())),
        Column::wide("agent", |row| Cell::maybe(row.agent.as_ref())),
        Column::wide("user", |row| Cell::maybe(row.broker_user.as_ref())),
        Column::wide("trace", |row| Cell::maybe(row.trace_id.as_ref())),
        Column::wide("source", |row| Cell::maybe(row.message_source.as_ref())),
        Column::wide("id", |row| Cell::maybe(row.message_id.as_ref())),
    ];

    const ORDER: &'static str = "-number";

    fn key(row: &AuditView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<AuditView>> {
        let mut query = self.filters.clone();
        query.extend(request.uncounted("before"));
        let page = self.client.audit(&query).await?;
        Ok(Page {
            rows: page.entries,
            next: page.next.map(|number| number.to_string()),
            total: None,
        })
    }
}
