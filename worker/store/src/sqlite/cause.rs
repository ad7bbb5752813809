use lockstep_protocol::Identity;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use crate::{CauseId, CauseRow, NewCause, column};

/// Writes causes, and returns their ids in the same order.
pub(super) fn insert(connection: &Connection, causes: &[NewCause]) -> Result<Vec<i64>, Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO cause (cause, source, message_id, kind, actor, at, note, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?;
    let ids = causes.iter().map(|cause| {
        insert.insert(params![
            cause.cause.as_str(),
            cause.identity.source.as_str(),
            cause.identity.id.as_str(),
            cause.kind.as_str(),
            cause.actor.as_deref(),
            column::microseconds(cause.at),
            cause.note,
            column::cause_detail(cause.detail.as_deref()),
        ])
    });
    Ok(ids.collect::<Result<_, _>>()?)
}

/// A cause without its detail.
pub(super) fn find(connection: &Connection, id: CauseId) -> Result<Option<CauseRow>, Failure> {
    let mut select = connection
        .prepare_cached("SELECT cause, kind, source, message_id, at, actor, note FROM cause WHERE id = ?1")?;
    let found = select.query_row([id.0], |row| Ok(read(row))).optional()?;
    found.transpose()
}

pub(super) fn find_detailed(connection: &Connection, id: CauseId) -> Result<Option<CauseRow>, Failure> {
    let Some(row) = find(connection, id)? else {
        return Ok(None);
    };
    let mut select = connection.prepare_cached("SELECT detail FROM cause WHERE id = ?1")?;
    let detail: String = select.query_row([id.0], |row| row.get(0))?;
    let detail = column::read_cause_detail(&detail)?;
    Ok(Some(CauseRow { detail, ..row }))
}

fn read(row: &Row<'_>) -> Result<CauseRow, Failure> {
    Ok(CauseRow {
        cause: row.get(0)?,
        kind: row.get(1)?,
        identity: Identity {
            source: column::name("cause.source", row.get(2)?)?,
            id: column::name("cause.message_id", row.get(3)?)?,
        },
        at: column::read_microseconds("cause.at", row.get(4)?)?,
        actor: row.get(5)?,
        note: row.get(6)?,
        detail: None,
    })
}
