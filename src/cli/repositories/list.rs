use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_protocol::CommitId;
use lockstep_protocol::rest::RepositoryView;

use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::list::{Cell, Column, ListOptions, Listing, Page, PageRequest, Plan};

/// List repositories with their accepted commit and their tip
///
/// ACCEPTED is the last valid commit; devices are compared with it. TIP is the commit at the last refresh. Below the table is why a
/// repository cannot be fetched or its tip is invalid, and since when, and what the accepted commit holds that has no effect. Columns:
/// name, branch, accepted, since, tip, seen, failure, problem. The list is ordered by name.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories list
  lockstep repositories list -o wide
  lockstep repositories list --json | jq -r '.[] | select(.problem) | .problem'")]
pub(super) struct List {
    #[command(flatten)]
    list: ListOptions,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let plan: Plan<RepositoryListing> = self.list.plan(global)?;
        plan.run(&RepositoryListing(Client::new(global)?)).await
    }
}

/// The repositories of the console: as many as are configured, so they have no pages.
struct RepositoryListing(Client);

impl Listing for RepositoryListing {
    type Row = RepositoryView;

    const NOUN: &'static str = "repository";

    const COLUMNS: &'static [Column<RepositoryView>] = &[
        Column::new("name", |row| Cell::text(&row.name)),
        Column::new("branch", |row| Cell::maybe(row.branch.as_ref())),
        Column::new("accepted", |row| commit(row.accepted.as_ref())),
        Column::new("since", |row| Cell::time(row.accepted_at)),
        Column::new("tip", |row| commit(row.seen.as_ref())),
        Column::new("seen", |row| Cell::time(row.seen_at)),
        Column::wide("failure", |row| Cell::maybe(row.failure.as_ref())),
        Column::wide("problem", |row| Cell::maybe(row.problem.as_ref())),
    ];

    const ORDER: &'static str = "name";

    fn key(row: &RepositoryView) -> String {
        row.name.to_string()
    }

    async fn page(&self, _request: PageRequest) -> anyhow::Result<Page<RepositoryView>> {
        Ok(Page::all(self.0.repositories().await?))
    }

    fn below(rows: &[RepositoryView]) -> Vec<String> {
        let remarks = rows.iter().flat_map(remarks);
        remarks.flat_map(|remark| [String::new(), remark]).collect()
    }

    fn empty() -> String {
        "no repository was refreshed yet; push a commit, run `lockstep repositories refresh NAME` (makes all affected devices \
         unsynchronized), or run `lockstep repositories accept NAME COMMIT` (changes no device)"
            .to_owned()
    }
}

fn commit(commit: Option<&CommitId>) -> Cell {
    commit.map_or(Cell::Absent, |commit| Cell::Digest(commit.as_str().to_owned()))
}

/// Why it cannot be fetched, why its tip is invalid, and what has no effect.
fn remarks(repository: &RepositoryView) -> Vec<String> {
    let name = &repository.name;
    let since = |since: Option<Timestamp>| since.map(|at| format!(" since {at:.0}")).unwrap_or_default();
    let mut remarks = Vec::new();
    if let Some(failure) = &repository.failure {
        let since = since(repository.failing_since);
        remarks.push(format!("{name}: cannot be fetched{since}: {failure}"));
    }
    if let Some(problem) = &repository.problem {
        let since = since(repository.problem_since);
        remarks.push(format!("{name}: the tip is invalid{since}: {problem}"));
    }
    let count = repository.warnings.len();
    if let Some(first) = repository.warnings.first() {
        let warnings = if count == 1 {
            "1 warning"
        } else {
            &format!("{count} warnings, --json shows all; the first")
        };
        remarks.push(format!("{name}: {warnings}: {first}"));
    }
    remarks
}
