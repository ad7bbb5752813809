use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::CommitId;
use lockstep_protocol::rest::RepositoryView;

use crate::cli::client::Client;
use crate::cli::{Global, output};

/// List repositories with their accepted commit and their tip
///
/// ACCEPTED is the last valid commit; devices are compared with it. TIP is the commit at the last refresh. Below the table are the
/// problems of a tip that is invalid.
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
        for repository in &repositories {
            if let Some(problem) = &repository.problem {
                output::line("");
                output::line(&format!("{}: {problem}", repository.name));
            }
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
        repository.branch.clone(),
        repository.accepted.as_ref().map(short).unwrap_or_default(),
        repository
            .accepted_at
            .map(|at| format!("{at:.0}"))
            .unwrap_or_default(),
        short(&repository.seen),
        format!("{:.0}", repository.seen_at),
    ]
}

fn short(commit: &CommitId) -> String {
    commit.as_str().chars().take(12).collect()
}
