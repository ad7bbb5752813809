use super::cell::Cell;
use crate::cli::UsageError;

/// A column of a list: its name in options and headers, and its value in a row.
pub(in crate::cli) struct Column<R> {
    pub(super) name: &'static str,
    /// Whether a table without `--columns` and `-o wide` has it.
    pub(super) is_default: bool,
    /// Whether it becomes narrower first where the terminal is too narrow.
    pub(super) shrinks: bool,
    pub(super) cell: fn(&R) -> Cell,
}

impl<R> Column<R> {
    /// A column of every table.
    pub(in crate::cli) const fn new(name: &'static str, cell: fn(&R) -> Cell) -> Self {
        Self {
            name,
            is_default: true,
            shrinks: false,
            cell,
        }
    }

    /// The same, less important: where the terminal is too narrow, its cells are cut first.
    pub(in crate::cli) const fn shrinking(name: &'static str, cell: fn(&R) -> Cell) -> Self {
        Self {
            name,
            is_default: true,
            shrinks: true,
            cell,
        }
    }

    /// A column of `-o wide`, `-o csv` and `--columns` only.
    pub(in crate::cli) const fn wide(name: &'static str, cell: fn(&R) -> Cell) -> Self {
        Self {
            name,
            is_default: false,
            shrinks: true,
            cell,
        }
    }

    pub(super) fn header(&self) -> String {
        self.name.to_uppercase()
    }
}

/// The column with this name, in upper or lower case.
pub(super) fn find<'a, R>(columns: &'a [Column<R>], name: &str) -> Result<&'a Column<R>, UsageError> {
    let found = columns
        .iter()
        .find(|column| column.name.eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = columns.iter().map(|column| column.name).collect();
        UsageError(format!(
            "there is no column {name:?}; the columns are {}",
            names.join(", ")
        ))
    })
}
