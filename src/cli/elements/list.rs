use std::process::ExitCode;

use clap::{Args, ValueEnum};
use lockstep_protocol::rest::ElementView;

use super::waits_for;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List the elements of an execution
///
/// REASON is a word for programs, MESSAGE is for people; `lockstep elements show NUMBER` has everything that the provider returned.
/// Columns: number, name, state, reason, message, changed, stage, waits-for, attempts, started, ended, type, entity, hostname. The list is
/// ordered by number.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep elements list 1
  lockstep elements list 1 --outcome failed
  lockstep elements list 1 --outcome open --watch
  lockstep elements list 1 -o csv > elements.csv")]
pub(super) struct List {
    /// Number or id of the execution
    #[arg(value_name = "EXECUTION")]
    execution: String,
    /// Only elements of which this became
    #[arg(long, value_enum)]
    outcome: Option<Outcome>,
    #[command(flatten)]
    options: ListOptions,
}

/// What became of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Outcome {
    /// They were done
    Done,
    /// They failed
    Failed,
    /// They did not run
    Skipped,
    /// They have not ended
    Open,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Open => "open",
        }
    }
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<ElementListing<'_>> = self.options.plan(global)?;
        let client = Client::new(global)?;
        plan.run(&ElementListing {
            client: &client,
            execution: self.execution,
            outcome: self.outcome,
        })
        .await
    }
}

/// The elements of an execution that match.
pub(in crate::cli) struct ElementListing<'a> {
    pub(in crate::cli) client: &'a Client,
    /// The number or the id of the execution.
    pub(in crate::cli) execution: String,
    pub(in crate::cli) outcome: Option<Outcome>,
}

impl Listing for ElementListing<'_> {
    type Row = ElementView;

    const NOUN: &'static str = "element";

    const COLUMNS: &'static [Column<ElementView>] = &[
        Column::new("number", |row| Cell::Number(row.number)),
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("state", |row| Cell::text(row.state)),
        Column::new("reason", |row| Cell::maybe(row.reason.as_ref())),
        Column::shrinking("message", |row| Cell::maybe(row.message.as_ref())),
        Column::new("changed", |row| Cell::Boolean(row.changed)),
        Column::wide("stage", |row| {
            Cell::maybe(row.stage.as_ref().map(|stage| stage.stage))
        }),
        Column::wide("waits-for", |row| Cell::maybe(waits_for(row))),
        Column::wide("attempts", |row| Cell::Number(row.attempts.into())),
        Column::wide("started", |row| Cell::time(row.started_at)),
        Column::wide("ended", |row| Cell::time(row.ended_at)),
        Column::wide("type", |row| Cell::text(row.entity_type)),
        Column::wide("entity", |row| Cell::Number(row.entity)),
        Column::wide("hostname", |row| Cell::maybe(row.hostname.as_ref())),
    ];

    const ORDER: &'static str = "number";

    fn key(row: &ElementView) -> String {
        row.number.to_string()
    }

    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<ElementView>> {
        let mut query = request.uncounted("after");
        query.extend(
            self.outcome
                .map(|outcome| ("outcome", outcome.as_str().to_owned())),
        );
        let page = self.client.elements(&self.execution, &query).await?;
        Ok(Page {
            rows: page.elements,
            next: page.next.map(|number| number.to_string()),
            total: None,
        })
    }
}
