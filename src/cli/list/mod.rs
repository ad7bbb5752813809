//! Lists: the same options, formats and columns for every command that lists something. A command implements [`Listing`].

mod cell;
mod column;
mod csv;
mod listing;
mod plan;
mod watch;

use std::process::ExitCode;

use clap::{Args, ValueEnum};

pub(super) use cell::Cell;
pub(super) use column::Column;
pub(super) use listing::{Listing, Page, PageRequest};
pub(super) use plan::Plan;

use super::{Global, UsageError, output};

/// The options of every list. Rows come in the order of the server; for another one, all rows are read and sorted here.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "List options")]
pub(super) struct ListOptions {
    /// Maximum number of rows, 0 for all [default: 100 in a table on a terminal, else all]
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// Sort by a column; `-COLUMN` for the descending order. Reads all rows, unless it is the order of the list
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Columns of a table or CSV, separated by commas
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Format of the output; --json is `-o json`
    #[arg(short, long, value_enum)]
    output: Option<Format>,
    /// Command that shows a table that is longer than the terminal; empty for none [default: less -FRX, if it is installed]
    #[arg(
        long,
        value_name = "COMMAND",
        env = "PAGER",
        hide_env_values = true,
        conflicts_with = "no_pager"
    )]
    pager: Option<String>,
    /// Print a table that is longer than the terminal at once
    #[arg(long)]
    no_pager: bool,
    /// Read the list again every so many seconds, until Ctrl-C. Not on a terminal: print added, changed and removed rows as JSON lines
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u32).range(1..=86_400))]
    watch: Option<u32>,
}

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A table that fits the terminal
    Table,
    /// A table with all columns in full
    Wide,
    /// One JSON array
    Json,
    /// A JSON object in each line, printed while pages are read
    Jsonl,
    /// CSV with a header and all columns, values as they are
    Csv,
}

impl ListOptions {
    /// What these options mean for a list.
    ///
    /// # Errors
    /// If they contradict each other, or name a column that the list does not have.
    pub(super) fn plan<L: Listing>(&self, global: &Global) -> Result<Plan<L>, UsageError> {
        let plan = Plan::of(self, global.json, output::size().is_some())?;
        if plan.is_json() {
            output::errors_as_json();
        }
        Ok(plan)
    }
}

impl<L: Listing> Plan<L> {
    /// Reads and prints a list.
    ///
    /// # Errors
    /// If it cannot be read.
    pub(super) async fn run(&self, listing: &L) -> anyhow::Result<ExitCode> {
        match self.watch {
            Some(every) => watch::watch(self, listing, every).await?,
            None => self.print(listing).await?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All rows of a list.
///
/// # Errors
/// If it cannot be read.
pub(super) async fn all<L: Listing>(listing: &L) -> anyhow::Result<Vec<L::Row>> {
    let mut rows = Vec::new();
    listing::read(listing, None, false, |page| rows.extend(page)).await?;
    Ok(rows)
}
