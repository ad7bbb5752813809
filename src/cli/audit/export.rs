use std::process::ExitCode;

use clap::Args;

use super::Filter;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// The most entries of a request: the largest page of the console.
const PAGE: &str = "1000";

/// Print all entries as JSON, one a line, the newest first
///
/// The lines have the form of the answers of `GET /v1/audit`. Entries that are added meanwhile are not printed.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep audit export > audit.jsonl
  lockstep audit export --since 30d --kind command | gzip > commands.jsonl.gz")]
pub(super) struct Export {
    #[command(flatten)]
    filter: Filter,
}

impl Export {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let mut before: Option<u64> = None;
        loop {
            let mut query = self.filter.query();
            query.push(("limit", PAGE.to_owned()));
            query.extend(before.map(|before| ("before", before.to_string())));
            let page = client.audit(&query).await?;
            for entry in &page.entries {
                output::json_line(entry);
            }
            before = page.next;
            if before.is_none() {
                return Ok(ExitCode::SUCCESS);
            }
        }
    }
}
