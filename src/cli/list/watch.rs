use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use lockstep_clock::{Clock, SystemClock};
use serde::Serialize;
use serde_json::Value;

use super::Format;
use super::listing::Listing;
use super::plan::{Plan, Rows};
use crate::cli::output;

/// Reads a list again and again until Ctrl-C. Draws it anew on a terminal, else prints what changed.
pub(super) async fn watch<L: Listing>(plan: &Plan<L>, listing: &L, every: Duration) -> anyhow::Result<()> {
    let mut stop = pin!(tokio::signal::ctrl_c());
    let draws = plan.on_terminal && plan.format != Format::Jsonl;
    let mut before: Option<BTreeMap<String, Value>> = None;
    loop {
        let read = tokio::select! {
            _ = &mut stop => return Ok(()),
            read = plan.read(listing) => read,
        };
        match read {
            Ok(read) if draws => output::redraw(&drawn(plan, &read)),
            Ok(read) => {
                let rows = by_key::<L>(&read.rows);
                let changes = changes(before.as_ref(), &rows);
                changes.iter().for_each(output::json_line);
                before = Some(rows);
            }
            // The console may be back at the next time.
            Err(error) if before.is_some() || draws => output::note(&format!("warning: {error:#}")),
            Err(error) => return Err(error),
        }
        tokio::select! {
            _ = &mut stop => return Ok(()),
            () = tokio::time::sleep(every) => {}
        }
    }
}

fn drawn<L: Listing>(plan: &Plan<L>, read: &Rows<L::Row>) -> Vec<String> {
    let (now, total) = (SystemClock.now(), Plan::<L>::total(read));
    let mut lines = vec![format!("{now:.0}  {total}  (Ctrl-C ends)"), String::new()];
    lines.extend(plan.table(&read.rows));
    lines
}

fn by_key<L: Listing>(rows: &[L::Row]) -> BTreeMap<String, Value> {
    let value = |row| serde_json::to_value(row).expect("rows have string keys and no failing serializers");
    rows.iter().map(|row| (L::key(row), value(row))).collect()
}

/// A difference between two readings.
#[derive(Debug, PartialEq, Serialize)]
struct Change {
    change: &'static str,
    row: Value,
}

/// What changed since the last reading; at first, every row is added.
fn changes(before: Option<&BTreeMap<String, Value>>, now: &BTreeMap<String, Value>) -> Vec<Change> {
    let none = BTreeMap::new();
    let before = before.unwrap_or(&none);
    let change = |change, row: &Value| Change {
        change,
        row: row.clone(),
    };
    let new = now.iter().filter_map(|(key, row)| match before.get(key) {
        None => Some(change("added", row)),
        Some(old) if old != row => Some(change("changed", row)),
        Some(_) => None,
    });
    let gone = before.iter().filter(|(key, _)| !now.contains_key(*key));
    new.chain(gone.map(|(_, row)| change("removed", row))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_added_changed_and_removed_rows() {
        let rows = |rows: &[(&str, i32)]| -> BTreeMap<String, Value> {
            rows.iter()
                .map(|(key, value)| ((*key).to_owned(), json!(value)))
                .collect()
        };
        let first = rows(&[("a", 1), ("b", 2), ("c", 3)]);
        let then = rows(&[("a", 1), ("b", 5), ("d", 4)]);
        let words = |changes: Vec<Change>| -> Vec<String> {
            changes
                .into_iter()
                .map(|change| format!("{} {}", change.change, change.row))
                .collect()
        };
        assert_eq!(words(changes(None, &first)), ["added 1", "added 2", "added 3"]);
        assert_eq!(
            words(changes(Some(&first), &then)),
            ["changed 5", "added 4", "removed 3"]
        );
        assert!(changes(Some(&then), &then).is_empty());
    }
}
