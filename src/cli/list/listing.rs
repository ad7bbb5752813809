use anyhow::bail;
use serde::Serialize;

use super::column::Column;
use crate::cli::output;

/// Something that can be listed: where its rows come from, and which columns they have.
pub(in crate::cli) trait Listing {
    /// A row; as JSON it has all its fields, whatever the columns.
    type Row: Serialize + 'static;

    /// What a row is, in the singular.
    const NOUN: &'static str;

    /// All columns, the most important first.
    const COLUMNS: &'static [Column<Self::Row>];

    /// The order of the pages: the name of a column, with a hyphen before it for the descending order.
    const ORDER: &'static str;

    /// What identifies a row from one reading to the next.
    fn key(row: &Self::Row) -> String;

    /// Reads a page.
    ///
    /// # Errors
    /// If the rows cannot be read.
    async fn page(&self, request: PageRequest) -> anyhow::Result<Page<Self::Row>>;

    /// Lines below a table.
    fn below(_rows: &[Self::Row]) -> Vec<String> {
        Vec::new()
    }

    /// What a table without rows says.
    fn empty() -> String {
        format!("no {} matches", Self::NOUN)
    }
}

/// Which rows to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct PageRequest {
    /// The end of the page before, as that page gave it.
    pub(in crate::cli) after: Option<String>,
    /// The maximum number of rows.
    pub(in crate::cli) limit: usize,
    /// Whether to count all rows.
    pub(in crate::cli) total: bool,
}

impl PageRequest {
    /// As [`Self::parameters`], for lists that the console does not count.
    pub(in crate::cli) fn uncounted(&self, after: &'static str) -> Vec<(&'static str, String)> {
        let uncounted = Self {
            total: false,
            ..self.clone()
        };
        uncounted.parameters(after)
    }

    /// The request as query parameters of the console; `after` is the name of the parameter for the end of the page before.
    pub(in crate::cli) fn parameters(&self, after: &'static str) -> Vec<(&'static str, String)> {
        let mut query = vec![("limit", self.limit.to_string())];
        query.extend(self.after.clone().map(|end| (after, end)));
        if self.total {
            query.push(("total", "true".to_owned()));
        }
        query
    }
}

/// Consecutive rows.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Page<R> {
    pub(in crate::cli) rows: Vec<R>,
    /// Where the next page begins; none after the last one.
    pub(in crate::cli) next: Option<String>,
    /// How many rows there are on all pages, if it was asked for.
    pub(in crate::cli) total: Option<u64>,
}

impl<R> Page<R> {
    /// All rows of a list that has no pages.
    pub(in crate::cli) fn all(rows: Vec<R>) -> Self {
        Self {
            total: Some(rows.len() as u64),
            rows,
            next: None,
        }
    }
}

/// The most rows that are asked for at once: the largest page of the console.
const PAGE: usize = 1000;

/// The most rows of a list.
const MOST: usize = 1_000_000;

/// How much of a list was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) rows: usize,
    /// How many rows there are; none if that is not known.
    pub(super) total: Option<u64>,
}

/// Reads the first rows, or all, and hands over page after page.
pub(super) async fn read<L: Listing>(
    listing: &L,
    limit: Option<usize>,
    counted: bool,
    mut take: impl FnMut(Vec<L::Row>),
) -> anyhow::Result<Extent> {
    let mut extent = Extent::default();
    let mut after: Option<String> = None;
    loop {
        let left = limit.map_or(PAGE, |limit| (limit - extent.rows).min(PAGE));
        let request = PageRequest {
            limit: left,
            total: counted && after.is_none(),
            after: after.clone(),
        };
        let mut page = listing.page(request).await?;
        let more = page.next.is_some() || page.rows.len() > left;
        page.rows.truncate(left);
        let is_empty = page.rows.is_empty();
        extent.rows += page.rows.len();
        extent.total = extent.total.or(page.total);
        take(page.rows);
        let Some(next) = page
            .next
            .filter(|_| limit.is_none_or(|limit| extent.rows < limit))
        else {
            if !more {
                extent.total = Some(extent.rows as u64);
            }
            return Ok(extent);
        };
        if is_empty || after.as_ref() == Some(&next) || extent.rows >= MOST {
            bail!(
                "the list goes on after {}; is this the address of a Lockstep console?",
                lockstep_protocol::counted(extent.rows, L::NOUN)
            );
        }
        after = Some(next);
    }
}

/// Prints JSON line by line while pages are read.
pub(super) fn print_lines<R: Serialize>(rows: &[R]) {
    rows.iter().for_each(output::json_line);
}
