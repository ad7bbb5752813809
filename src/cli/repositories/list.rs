use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use lockstep_protocol::CommitId;
use lockstep_protocol::rest::RepositoryView;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List repositories with their accepted commit and their tip
///
/// ACCEPTED is the last valid commit; devices are compared with it. TIP is the commit at the last refresh. Below the table is why a
/// repository cannot be fetched or its tip is invalid, and since when, and what the accepted commit holds that has no effect.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep repositories list
  lockstep repositories list --json | jq -r '.[] | select(.problem) | .problem'")]
pub(super) struct List {}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let repositories = Client::new(global)?.repositories().await?;
        if global.json {
            output::json(&repositories);
            return Ok(ExitCode::SUCCESS);
        }
        let rows: Vec<[String; 6]> = repositories.iter().map(row).collect();
        let header = ["NAME", "BRANCH", "ACCEPTED", "SINCE", "TIP", "SEEN"];
        for line in output::table(header, &rows) {
            output::line(&line);
        }
        for remark in repositories.iter().flat_map(remarks) {
            output::line("");
            output::line(&remark);
        }
        if repositories.is_empty() {
            output::note(
                "no repository was refreshed yet; push a commit, run `lockstep repositories refresh NAME` (makes all affected \
                 devices unsynchronized), or run `lockstep repositories accept NAME COMMIT` (changes no device)",
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(repository: &RepositoryView) -> [String; 6] {
    [
        repository.name.to_string(),
        repository.branch.clone().unwrap_or_default(),
        repository.accepted.as_ref().map(short).unwrap_or_default(),
        repository
            .accepted_at
            .map(|at| format!("{at:.0}"))
            .unwrap_or_default(),
        repository.seen.as_ref().map(short).unwrap_or_default(),
        repository
            .seen_at
            .map(|at| format!("{at:.0}"))
            .unwrap_or_default(),
    ]
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

fn short(commit: &CommitId) -> String {
    commit.as_str().chars().take(12).collect()
}
