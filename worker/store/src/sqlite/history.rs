//! Writes and reads the histories of devices.

use rusqlite::{Connection, Row, params};

use super::device;
use super::error::Failure;
use crate::fleet::OPEN_CAUSES;
use crate::{CauseId, Facts, HistoryRow, NewHistory, column};

/// An unknown name yields a null id, which the table refuses.
const INSERT: &str = "\
    INSERT INTO device_history (device_id, at, what, source, message_id, kind, actor, note, detail, generation, causes) \
    VALUES ((SELECT id FROM device WHERE hostname = ?1), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

macro_rules! columns {
    () => {
        "number, at, what, source, message_id, kind, actor, note, detail, generation, causes"
    };
}

/// The rows that a page needs; see [`crate::history::merge`]. The plus signs keep SQLite from going through the history of all devices by
/// the index of times.
const SELECT: &str = concat!(
    "SELECT * FROM (SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = ?1 AND (?2 IS NULL OR +at < ?2) ORDER BY +at DESC, number DESC LIMIT ?3) \
    UNION ALL SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = ?1 AND +at = ?2 \
    UNION ALL SELECT * FROM (SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = ?1 AND +at > ?2 AND causes <> '[]' ORDER BY +at, number LIMIT 1)"
);

/// Adds the rows of devices that exist. Runs before their flags are written, which close the causes that a row lists.
pub(super) fn write_of_existing(
    connection: &Connection,
    facts: &Facts,
    cause_ids: &[i64],
) -> Result<(), Failure> {
    let rows = facts.new_history().iter();
    write(connection, rows.filter(|row| !row.is_new_device), cause_ids)
}

/// Adds the rows of devices that the batch created.
pub(super) fn write_of_new(connection: &Connection, facts: &Facts, cause_ids: &[i64]) -> Result<(), Failure> {
    let rows = facts.new_history().iter();
    write(connection, rows.filter(|row| row.is_new_device), cause_ids)
}

fn write<'a>(
    connection: &Connection,
    rows: impl Iterator<Item = &'a NewHistory>,
    cause_ids: &[i64],
) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(INSERT)?;
    for row in rows {
        let mut causes = if row.closes_stored {
            device::open_causes(connection, &row.hostname)?
        } else {
            Vec::new()
        };
        causes.extend(row.closes.iter().map(|index| cause_ids[*index]));
        causes.drain(..causes.len().saturating_sub(OPEN_CAUSES));
        insert.execute(params![
            row.hostname.as_str(),
            column::microseconds(row.at),
            row.what.as_str(),
            row.identity.source.as_str(),
            row.identity.id.as_str(),
            row.kind.as_str(),
            row.actor.as_deref(),
            row.note,
            column::history_change(&row.change),
            row.generation,
            serde_json::to_string(&causes).expect("numbers are JSON"),
        ])?;
    }
    Ok(())
}

/// The rows that a page needs. `at` is in microseconds.
pub(super) fn rows(
    connection: &Connection,
    device: i64,
    at: Option<i64>,
    limit: u32,
) -> Result<Vec<HistoryRow>, Failure> {
    let mut select = connection.prepare_cached(SELECT)?;
    let mut rows = select.query(params![device, at, limit])?;
    let mut history = Vec::new();
    while let Some(row) = rows.next()? {
        history.push(read(row)?);
    }
    Ok(history)
}

fn read(row: &Row<'_>) -> Result<HistoryRow, Failure> {
    let causes = device::read_open_causes(&row.get::<_, String>(10)?)?;
    Ok(HistoryRow {
        number: row.get(0)?,
        at: column::read_microseconds("device_history.at", row.get(1)?)?,
        what: row.get(2)?,
        identity: column::identity(row.get(3)?, row.get(4)?)?,
        kind: row.get(5)?,
        actor: row.get(6)?,
        note: row.get(7)?,
        change: column::read_history_change(row.get(8)?)?,
        generation: row.get(9)?,
        causes: causes.into_iter().map(CauseId).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::sql::query_plan;
    use super::*;

    #[test]
    fn a_page_reads_the_rows_of_one_device() {
        let plan = query_plan(SELECT);
        let reads: Vec<&String> = plan
            .iter()
            .filter(|line| line.contains("device_history"))
            .collect();
        assert_eq!(reads.len(), 3, "{plan:?}");
        for read in reads {
            assert_eq!(
                read,
                "SEARCH device_history USING INDEX device_history_device (device_id=?)"
            );
        }
    }
}
