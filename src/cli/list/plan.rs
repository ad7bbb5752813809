use std::time::Duration;

use jiff::Timestamp;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::counted;

use super::column::{self, Column};
use super::listing::{self, Extent, Listing};
use super::{Format, ListOptions, csv};
use crate::cli::{UsageError, output};

/// The rows of a table on a terminal without `--limit`.
const LIMIT: usize = 100;

/// How a list is read and printed.
pub(in crate::cli) struct Plan<L: Listing> {
    pub(super) format: Format,
    columns: Vec<&'static Column<L::Row>>,
    /// The column to sort by, and whether in descending order; none if the order of the pages is right.
    sort: Option<(&'static Column<L::Row>, bool)>,
    limit: Option<usize>,
    /// The command of the pager; empty for the default one. None if there is none.
    pager: Option<String>,
    pub(super) watch: Option<Duration>,
    pub(super) on_terminal: bool,
}

/// A table with the columns that are there by default.
impl<L: Listing> Default for Plan<L> {
    fn default() -> Self {
        Self {
            format: Format::Table,
            columns: L::COLUMNS.iter().filter(|column| column.is_default).collect(),
            sort: None,
            limit: None,
            pager: None,
            watch: None,
            on_terminal: false,
        }
    }
}

/// Rows that were read, in order.
pub(super) struct Rows<R> {
    pub(super) rows: Vec<R>,
    extent: Extent,
}

impl<L: Listing> Plan<L> {
    /// The plan for these options.
    pub(super) fn of(options: &ListOptions, json: bool, on_terminal: bool) -> Result<Self, UsageError> {
        let format = format(options, json)?;
        let limit = options.limit.unwrap_or(match format {
            Format::Table | Format::Wide if on_terminal => LIMIT,
            _ => 0,
        });
        let watch = options.watch.map(|seconds| Duration::from_secs(seconds.into()));
        if watch.is_some() && matches!(format, Format::Json | Format::Csv) {
            return Err(UsageError(
                "a list that is watched has no end: use --watch with -o table, wide or jsonl".to_owned(),
            ));
        }
        Ok(Self {
            format,
            columns: columns::<L>(options, format)?,
            sort: sort::<L>(options.sort.as_deref())?,
            limit: (limit > 0).then_some(limit),
            pager: match options.pager.as_deref() {
                _ if options.no_pager => None,
                // As git has it: both mean no pager.
                Some("" | "cat") => None,
                given => Some(given.unwrap_or_default().to_owned()),
            },
            watch,
            on_terminal,
        })
    }

    /// Whether the result is JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self.format, Format::Json | Format::Jsonl)
    }

    /// Reads the rows of the plan.
    pub(super) async fn read(&self, listing: &L) -> anyhow::Result<Rows<L::Row>> {
        let mut rows = Vec::new();
        let limit = self.limit.filter(|_| self.sort.is_none());
        let is_table = matches!(self.format, Format::Table | Format::Wide);
        let counted = is_table && limit.is_some();
        let extent = listing::read(listing, limit, counted, |page| rows.extend(page)).await?;
        if let Some((column, descending)) = self.sort {
            rows.sort_by_cached_key(|row| (column.cell)(row));
            if descending {
                rows.reverse();
            }
            rows.truncate(self.limit.unwrap_or(usize::MAX));
        }
        Ok(Rows {
            extent: Extent {
                rows: rows.len(),
                ..extent
            },
            rows,
        })
    }

    /// Reads the list and prints it once.
    pub(super) async fn print(&self, listing: &L) -> anyhow::Result<()> {
        if self.format == Format::Jsonl && self.sort.is_none() {
            listing::read(listing, self.limit, false, |page| listing::print_lines(&page)).await?;
            return Ok(());
        }
        let read = self.read(listing).await?;
        let now = SystemClock.now();
        match self.format {
            Format::Json => output::json(&read.rows),
            Format::Jsonl => listing::print_lines(&read.rows),
            Format::Csv => output::data(&self.csv(&read.rows, now)),
            Format::Table | Format::Wide => {
                let mut lines = self.table(&read.rows);
                lines.extend(L::below(&read.rows).iter().map(|line| output::shown(line)));
                output::lines(&lines, self.pager.as_deref());
                output::note(&Self::total(&read));
            }
        }
        Ok(())
    }

    /// The lines of a table.
    pub(in crate::cli) fn table(&self, rows: &[L::Row]) -> Vec<String> {
        let width = output::size().map(|size| size.columns);
        self.fitted(
            rows,
            SystemClock.now(),
            width.filter(|_| self.format != Format::Wide),
        )
    }

    fn fitted(&self, rows: &[L::Row], now: Timestamp, width: Option<usize>) -> Vec<String> {
        let in_full = self.format == Format::Wide;
        let header: Vec<String> = self.columns.iter().map(|column| column.header()).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let cells = |row| {
            let cells = self.columns.iter().map(|column| (column.cell)(row));
            cells.map(|cell| cell.shown(now, in_full)).collect()
        };
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        let shrinking = (0..self.columns.len()).rev();
        let shrinking: Vec<usize> = shrinking.filter(|column| self.columns[*column].shrinks).collect();
        output::fitted(&header, &cells, width, &shrinking)
    }

    fn csv(&self, rows: &[L::Row], now: Timestamp) -> String {
        let mut text = csv::line(self.columns.iter().map(|column| column.name));
        for row in rows {
            let cells: Vec<String> = self
                .columns
                .iter()
                .map(|column| (column.cell)(row).exact(now))
                .collect();
            text.push_str(&csv::line(cells.iter().map(String::as_str)));
        }
        text
    }

    /// How many rows there are, and how to see those that are not shown.
    pub(super) fn total(read: &Rows<L::Row>) -> String {
        let Extent { rows, total } = read.extent;
        match total {
            Some(0) => L::empty(),
            Some(total) if total <= rows as u64 => grouped(total, L::NOUN),
            Some(total) => format!(
                "{rows} of {}; --limit 0 or -o jsonl shows all",
                grouped(total, L::NOUN)
            ),
            None => format!(
                "the first {}; --limit 0 or -o jsonl shows all",
                counted(rows, L::NOUN)
            ),
        }
    }
}

fn format(options: &ListOptions, json: bool) -> Result<Format, UsageError> {
    match options.output {
        None if json => Ok(Format::Json),
        None => Ok(Format::Table),
        Some(Format::Table | Format::Wide | Format::Csv) if json => Err(UsageError(
            "--json is `-o json`; with -o table, wide or csv leave it out".to_owned(),
        )),
        Some(format) => Ok(format),
    }
}

fn columns<L: Listing>(
    options: &ListOptions,
    format: Format,
) -> Result<Vec<&'static Column<L::Row>>, UsageError> {
    if options.columns.is_empty() {
        let all = matches!(format, Format::Wide | Format::Csv);
        return Ok(L::COLUMNS
            .iter()
            .filter(|column| all || column.is_default)
            .collect());
    }
    if matches!(format, Format::Json | Format::Jsonl) {
        return Err(UsageError(
            "--columns is for tables and CSV; JSON has all fields, select some with jq".to_owned(),
        ));
    }
    let names = options.columns.iter();
    names.map(|name| column::find(L::COLUMNS, name.trim())).collect()
}

type Sort<R> = Option<(&'static Column<R>, bool)>;

fn sort<L: Listing>(wanted: Option<&str>) -> Result<Sort<L::Row>, UsageError> {
    let Some(wanted) = wanted else { return Ok(None) };
    let (name, descending) = wanted
        .strip_prefix('-')
        .map_or((wanted, false), |name| (name, true));
    let column = column::find(L::COLUMNS, name)?;
    let (own, own_descending) = L::ORDER
        .strip_prefix('-')
        .map_or((L::ORDER, false), |name| (name, true));
    let is_own = column.name == own && descending == own_descending;
    Ok((!is_own).then_some((column, descending)))
}

/// A count with a comma between thousands, and its noun.
fn grouped(count: u64, noun: &str) -> String {
    let text = counted(count, noun);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut shown = String::with_capacity(text.len() + digits / 3);
    for (index, c) in text.chars().enumerate() {
        if index > 0 && index < digits && (digits - index).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(c);
    }
    shown
}

#[cfg(test)]
mod tests;
