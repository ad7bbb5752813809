use std::process::ExitCode;

use clap::Args;
use lockstep_protocol::DeadLetterState;
use lockstep_protocol::rest::DeadLetterView;

use super::filter::Filter;
use crate::cli::client::Client;
use crate::cli::{Global, output};

/// The largest page of the console.
const PAGE: usize = 1000;

/// List dead letters, the newest first
///
/// Without --state or --all-states it lists the unsettled ones: those that were neither requeued nor dropped yet.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  lockstep dead list
  lockstep dead list --code unknown-device --type lockstep.interface.updated
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
    /// Maximum number of dead letters to list
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
}

impl List {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let client = Client::new(global)?;
        let limit = self.limit as usize;
        let mut dead_letters: Vec<DeadLetterView> = Vec::new();
        let mut before: Option<u64> = None;
        let more = loop {
            let mut query = self.query();
            query.push(("limit", (limit - dead_letters.len()).min(PAGE).to_string()));
            query.extend(before.map(|before| ("before", before.to_string())));
            let page = client.dead_letters(&query).await?;
            let is_empty = page.dead_letters.is_empty();
            dead_letters.extend(page.dead_letters);
            before = page.next;
            if before.is_none() || is_empty || dead_letters.len() >= limit {
                break before.is_some();
            }
        };
        if global.json {
            output::json(&dead_letters);
        } else {
            show(&dead_letters);
        }
        if dead_letters.is_empty() {
            output::note("no dead letter matches");
        } else if more {
            output::note(&format!(
                "there are more than these {}; list more with --limit",
                dead_letters.len()
            ));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = self.filter.query();
        if self.all_states {
            query.push(("state", "all".to_owned()));
        }
        query.extend(self.state.map(|state| ("state", state.to_string())));
        query
    }
}

fn show(dead_letters: &[DeadLetterView]) {
    let rows: Vec<[String; 9]> = dead_letters.iter().map(row).collect();
    let header = [
        "NUMBER",
        "STATE",
        "DEAD-LETTERED",
        "LANE",
        "TYPE",
        "SUBJECT",
        "REDRIVES",
        "CODE",
        "REASON",
    ];
    for line in output::table(header, &rows) {
        output::line(&line);
    }
}

fn row(dead_letter: &DeadLetterView) -> [String; 9] {
    let text = |text: &str| {
        if text.is_empty() {
            "-".to_owned()
        } else {
            text.to_owned()
        }
    };
    [
        dead_letter.number.to_string(),
        dead_letter.state.to_string(),
        format!("{:.0}", dead_letter.dead_lettered_at),
        text(&dead_letter.lane),
        text(&dead_letter.kind),
        text(dead_letter.subject.as_deref().unwrap_or_default()),
        dead_letter.redrive_count.to_string(),
        text(&dead_letter.code),
        text(&dead_letter.reason),
    ]
}
