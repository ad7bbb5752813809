use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::rest::TokenView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List stored tokens, without their secrets
///
/// Columns: name, person, role, active, expires, used, groups, tasks, reads, sources, prefix, created, created-by, rotated, revoked.
/// `used` has a precision of some minutes. The list is ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep tokens list
  lockstep tokens list --sort used -o wide
  lockstep tokens list --json | jq -r '.[] | select(.active) | .name'")]
pub(super) struct List {
    #[command(flatten)]
    options: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<TokenListing> = self.options.plan(global)?;
        plan.run(&TokenListing(Client::new(global)?)).await
    }
}

/// The stored tokens of the console.
struct TokenListing(Client);

impl Listing for TokenListing {
    type Row = TokenView;

    const NOUN: &'static str = "token";

    const COLUMNS: &'static [Column<TokenView>] = &[
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("person", |row| Cell::text(&row.person)),
        Column::new("role", |row| Cell::text(row.role)),
        Column::new("active", |row| Cell::Boolean(row.active)),
        Column::new("expires", |row| Cell::time(row.expires_at)),
        Column::new("used", |row| Cell::time(row.used_at)),
        Column::shrinking("groups", |row| Cell::text(super::show::joined(&row.groups))),
        Column::shrinking("tasks", |row| Cell::text(super::show::joined(&row.tasks))),
        Column::wide("reads", |row| Cell::text(super::show::joined(&row.reads))),
        Column::wide("sources", |row| Cell::text(super::show::joined(&row.sources))),
        Column::wide("prefix", |row| Cell::text(&row.prefix)),
        Column::wide("created", |row| Cell::Time(row.created_at)),
        Column::wide("created-by", |row| Cell::text(&row.created_by)),
        Column::wide("rotated", |row| Cell::time(row.rotated_at)),
        Column::wide("revoked", |row| Cell::time(row.revoked_at)),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &TokenView) -> String {
        row.name.clone()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<TokenView>> {
        let page = self.0.tokens(&request.uncounted("after")).await?;
        Ok(Page {
            rows: page.tokens,
            next: page.next,
            total: None,
        })
    }
}
