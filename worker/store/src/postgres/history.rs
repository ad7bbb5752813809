//! Writes and reads the histories of devices.

use tokio_postgres::Row;

use super::PostgresStore;
use super::broad;
use super::microseconds::Microseconds;
use super::write::Write;
use crate::{CauseId, Device, Facts, HistoryPosition, HistoryRow, NewHistory, StoreError, column};

/// Before the flags are written, since these close the causes that a row lists, and after new devices are inserted. `$11` is the array of
/// the causes of all rows; each takes a slice. Rows of a device get their numbers in their order. An unknown name yields a null id, which
/// the table refuses.
pub(super) const INSERT: &str = concat!(
    "INSERT INTO device_history (device_id, at, what, source, message_id, kind, actor, note, detail, generation, causes) \
    SELECT device.id, new.at, new.what, new.source, new.message_id, new.kind, new.actor, new.note, new.detail, new.generation, \
        CASE WHEN new.stored THEN ",
    broad::open_causes!("($11::bigint[])[new.first:new.last]"),
    " ELSE ($11::bigint[])[new.first:new.last] END \
    FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], \
            $10::bigint[], $12::integer[], $13::integer[], $14::boolean[]) WITH ORDINALITY \
        AS new (hostname, at, what, source, message_id, kind, actor, note, detail, generation, first, last, stored, position) \
    LEFT JOIN LATERAL (SELECT * FROM device AS stored WHERE stored.hostname = new.hostname OFFSET 0) AS device ON true \
    ORDER BY new.position"
);

macro_rules! columns {
    () => {
        "number, at, what, source, message_id, kind, actor, note, detail, generation, causes"
    };
}

/// The rows that a page needs; see [`crate::history::merge`].
pub(super) const SELECT: &str = concat!(
    "(SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = $1 AND ($2::timestamptz IS NULL OR at < $2) ORDER BY at DESC, number DESC LIMIT $3) \
    UNION ALL (SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = $1 AND at = $2) \
    UNION ALL (SELECT ",
    columns!(),
    " FROM device_history WHERE device_id = $1 AND at > $2 AND causes <> '{}' ORDER BY at, number LIMIT 1)"
);

/// Adds the rows of the batch.
pub(super) fn insert<'a>(facts: &'a Facts, cause_ids: &[i64]) -> Option<Write<'a>> {
    let rows = || facts.new_history().iter();
    rows().next()?;
    let mut causes: Vec<i64> = Vec::new();
    let (mut first, mut last) = (Vec::new(), Vec::new());
    let position = |causes: &[i64]| i32::try_from(causes.len()).expect("a batch has fewer causes");
    for row in rows() {
        first.push(position(&causes) + 1);
        causes.extend(row.closes.iter().map(|index| cause_ids[*index]));
        last.push(position(&causes));
    }
    let write = Write::new(INSERT)
        .column(rows().map(|row| row.hostname.as_str()))
        .column(rows().map(|row| Microseconds(row.at)))
        .column(rows().map(|row| row.what.as_str()))
        .column(rows().map(|row| row.identity.source.as_str()))
        .column(rows().map(|row| row.identity.id.as_str()))
        .column(rows().map(|row| row.kind.as_str()))
        .column(rows().map(|row| row.actor.as_deref().map(column::without_nul)))
        .column(rows().map(|row| row.note.as_deref().map(column::without_nul)))
        .column(rows().map(|row| column::history_change(&row.change)))
        .column(rows().map(|row: &NewHistory| row.generation))
        .column(causes)
        .column(first)
        .column(last)
        .column(rows().map(|row| row.closes_stored));
    Some(write)
}

impl PostgresStore {
    /// The rows that a page needs.
    pub(super) async fn history_rows(
        &self,
        operation: &'static str,
        device: &Device,
        before: Option<HistoryPosition>,
        limit: u32,
    ) -> Result<Vec<HistoryRow>, StoreError> {
        let at = before
            .map(|before| column::read_microseconds("the position in the history", before.at()))
            .transpose()?
            .map(Microseconds);
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&device.id.0, &at, &i64::from(limit)];
        let rows = self.rows(operation, SELECT, &parameters).await?;
        rows.iter().map(read).collect()
    }
}

fn read(row: &Row) -> Result<HistoryRow, StoreError> {
    let causes: Vec<i64> = row.get(10);
    Ok(HistoryRow {
        number: row.get(0),
        at: row.get::<_, Microseconds>(1).0,
        what: row.get(2),
        identity: column::identity(row.get(3), row.get(4))?,
        kind: row.get(5),
        actor: row.get(6),
        note: row.get(7),
        change: column::read_history_change(row.get(8))?,
        generation: row.get(9),
        causes: causes.into_iter().map(CauseId).collect(),
    })
}
