use lockstep_protocol::rest::CauseView;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::error::Failure;
use crate::{NewCause, column};

/// Writes causes, and returns their ids.
pub(super) fn insert(connection: &Connection, causes: &[NewCause]) -> Result<Vec<i64>, Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO cause (cause, source, message_id, kind, actor, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let ids = causes.iter().map(|cause| {
        insert.insert(params![
            cause.cause.as_str(),
            cause.identity.source.as_str(),
            cause.identity.id.as_str(),
            cause.kind.as_str(),
            cause.actor,
            column::microseconds(cause.at),
        ])
    });
    Ok(ids.collect::<Result<_, _>>()?)
}

/// One cause, as others see it.
pub(super) fn find(connection: &Connection, id: i64) -> Result<Option<CauseView>, Failure> {
    let mut select = connection
        .prepare_cached("SELECT cause, kind, source, message_id, at, actor FROM cause WHERE id = ?1")?;
    let found = select.query_row([id], |row| Ok(view(row))).optional()?;
    found.transpose()
}

fn view(row: &Row<'_>) -> Result<CauseView, Failure> {
    Ok(CauseView {
        cause: row.get(0)?,
        event: row.get(1)?,
        source: row.get(2)?,
        id: row.get(3)?,
        at: column::read_microseconds("cause.at", row.get(4)?)?,
        by: row.get(5)?,
    })
}
