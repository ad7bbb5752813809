//! All SQL statements. The functions take the connection and run in its current transaction.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, params};

use lockstep_protocol::SmolStr;

use super::USER;
use crate::{BusError, Delivery, Headers, Outgoing, Properties};

/// The schema version of this program.
const VERSION: i64 = 1;
/// How long SQLite waits for a lock of another process, such as a backup.
const BUSY: Duration = Duration::from_millis(250);

const COLUMNS: &str = "id, exchange, routing_key, message_id, type, content_type, correlation_id, reply_to, \
                       timestamp, headers, body";

/// A row of the table `queue`.
#[derive(Debug)]
pub(super) struct StoredQueue {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) mark: i64,
    pub(super) unread_since: Option<i64>,
}

/// A message whose time-to-live has passed.
#[derive(Debug)]
pub(super) struct Overdue {
    pub(super) id: i64,
    pub(super) queue: i64,
    pub(super) routing_key: String,
}

/// Opens the file, and creates the schema if it is new.
///
/// # Errors
/// When the file cannot be used, or a newer version of Lockstep has written it.
pub(super) fn open(path: &Path) -> Result<Connection, BusError> {
    let unusable = |error: rusqlite::Error| BusError::File {
        reason: error.to_string(),
    };
    let mut file = Connection::open(path).map_err(unusable)?;
    prepare(&file).map_err(unusable)?;
    let version = migrate(&mut file).map_err(unusable)?;
    if version > VERSION {
        return Err(BusError::File {
            reason: format!(
                "it has schema version {version}; this program supports up to {VERSION}, upgrade it"
            ),
        });
    }
    Ok(file)
}

fn prepare(file: &Connection) -> rusqlite::Result<()> {
    file.busy_timeout(BUSY)?;
    file.set_prepared_statement_cache_capacity(32);
    // Confirmed messages must survive a power failure: in WAL mode only FULL syncs on every commit.
    file.pragma_update(None, "journal_mode", "WAL")?;
    file.pragma_update(None, "synchronous", "FULL")?;
    file.pragma_update(None, "wal_autocheckpoint", 4000)?;
    file.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    file.pragma_update(None, "temp_store", "MEMORY")
}

fn migrate(file: &mut Connection) -> rusqlite::Result<i64> {
    let version: i64 = file.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > 0 {
        return Ok(version);
    }
    let transaction = file.transaction()?;
    transaction.execute_batch(include_str!("schema.sql"))?;
    transaction.commit()?;
    Ok(VERSION)
}

pub(super) fn queues(file: &Connection) -> rusqlite::Result<Vec<StoredQueue>> {
    file.prepare("SELECT id, name, mark, unread_since FROM queue")?
        .query_map([], |row| {
            Ok(StoredQueue {
                id: row.get(0)?,
                name: row.get(1)?,
                mark: row.get(2)?,
                unread_since: row.get(3)?,
            })
        })?
        .collect()
}

/// Adds the queue if it does not exist, and returns its id.
pub(super) fn add_queue(file: &Connection, name: &str) -> rusqlite::Result<i64> {
    file.execute(
        "INSERT INTO queue (name) VALUES (?1) ON CONFLICT DO NOTHING",
        [name],
    )?;
    file.query_row("SELECT id FROM queue WHERE name = ?1", [name], |row| row.get(0))
}

/// Removes the queue and its messages.
pub(super) fn remove_queue(file: &Connection, queue: i64) -> rusqlite::Result<()> {
    file.execute("DELETE FROM message WHERE queue = ?1", [queue])?;
    file.execute("DELETE FROM queue WHERE id = ?1", [queue])?;
    Ok(())
}

pub(super) fn set_unread_since(file: &Connection, queue: i64, since: Option<i64>) -> rusqlite::Result<()> {
    file.execute(
        "UPDATE queue SET unread_since = ?2 WHERE id = ?1",
        params![queue, since],
    )?;
    Ok(())
}

pub(super) fn set_mark(file: &Connection, queue: i64, mark: i64) -> rusqlite::Result<()> {
    file.prepare_cached("UPDATE queue SET mark = ?2 WHERE id = ?1")?
        .execute([queue, mark])?;
    Ok(())
}

/// The highest message id in use. Ids above it may be assigned again.
pub(super) fn highest_id(file: &Connection) -> rusqlite::Result<i64> {
    file.query_row(
        "SELECT max(coalesce((SELECT max(id) FROM message), 0), coalesce((SELECT max(mark) FROM queue), 0))",
        [],
        |row| row.get(0),
    )
}

pub(super) fn insert(
    file: &Connection,
    id: i64,
    queue: i64,
    due: Option<i64>,
    message: &Outgoing,
) -> rusqlite::Result<()> {
    let properties = &message.properties;
    file.prepare_cached(
        "INSERT INTO message (id, queue, due, exchange, routing_key, message_id, type, content_type, \
         correlation_id, reply_to, timestamp, headers, body) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        id,
        queue,
        due,
        message.destination.exchange(),
        message.destination.routing_key(),
        properties.message_id.as_deref(),
        properties.kind.as_deref(),
        properties.content_type.as_deref(),
        properties.correlation_id.as_deref(),
        properties.reply_to.as_deref(),
        properties.timestamp.map(Timestamp::as_second),
        headers_to_text(&properties.headers),
        &message.body[..],
    ])?;
    Ok(())
}

/// Copies a message to the end of a queue with a new id.
pub(super) fn copy(
    file: &Connection,
    from: i64,
    to: i64,
    queue: i64,
    due: Option<i64>,
    exchange: &str,
) -> rusqlite::Result<()> {
    file.prepare_cached(
        "INSERT INTO message (id, queue, due, exchange, routing_key, message_id, type, content_type, \
         correlation_id, reply_to, timestamp, headers, body) \
         SELECT ?2, ?3, ?4, ?5, routing_key, message_id, type, content_type, \
         correlation_id, reply_to, timestamp, headers, body FROM message WHERE id = ?1",
    )?
    .execute(params![from, to, queue, due, exchange])?;
    Ok(())
}

/// Deletes a message, and returns whether it existed.
pub(super) fn delete(file: &Connection, id: i64) -> rusqlite::Result<bool> {
    let deleted = file
        .prepare_cached("DELETE FROM message WHERE id = ?1")?
        .execute([id])?;
    Ok(deleted > 0)
}

/// Deletes the oldest messages of a queue.
pub(super) fn delete_oldest(file: &Connection, queue: i64, count: i64) -> rusqlite::Result<()> {
    file.prepare_cached(
        "DELETE FROM message WHERE id IN (SELECT id FROM message WHERE queue = ?1 ORDER BY id LIMIT ?2)",
    )?
    .execute([queue, count])?;
    Ok(())
}

pub(super) fn length(file: &Connection, queue: i64) -> rusqlite::Result<i64> {
    file.query_row("SELECT count(*) FROM message WHERE queue = ?1", [queue], |row| {
        row.get(0)
    })
}

/// Reads one message; `None` if it was deleted.
pub(super) fn read(file: &Connection, id: i64) -> rusqlite::Result<Option<(i64, Delivery)>> {
    file.prepare_cached(&format!("SELECT {COLUMNS} FROM message WHERE id = ?1"))?
        .query_row([id], to_delivery)
        .optional()
}

/// Reads the messages of a queue with higher ids than `after`, in order.
pub(super) fn read_after(
    file: &Connection,
    queue: i64,
    after: i64,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, Delivery)>> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    file.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM message WHERE queue = ?1 AND id > ?2 ORDER BY id LIMIT ?3"
    ))?
    .query_map([queue, after, limit], to_delivery)?
    .collect()
}

/// The earliest due time of all messages.
pub(super) fn next_due(file: &Connection) -> rusqlite::Result<Option<i64>> {
    file.prepare_cached("SELECT min(due) FROM message WHERE due IS NOT NULL")?
        .query_row([], |row| row.get(0))
}

/// The messages that are due, the longest overdue first.
pub(super) fn overdue(file: &Connection, now: i64, limit: i64) -> rusqlite::Result<Vec<Overdue>> {
    file.prepare_cached(
        "SELECT id, queue, routing_key FROM message WHERE due IS NOT NULL AND due <= ?1 ORDER BY due, id LIMIT ?2",
    )?
    .query_map([now, limit], |row| {
        Ok(Overdue {
            id: row.get(0)?,
            queue: row.get(1)?,
            routing_key: row.get(2)?,
        })
    })?
    .collect()
}

/// Moves due times after `latest` to it. A message never waits longer than its queue's time-to-live from now; a later due
/// time means that the wall clock was set back or the time-to-live was shortened.
pub(super) fn clamp_due(file: &Connection, queue: i64, latest: i64) -> rusqlite::Result<()> {
    file.execute(
        "UPDATE message SET due = ?2 WHERE queue = ?1 AND due > ?2",
        [queue, latest],
    )?;
    Ok(())
}

fn to_delivery(row: &Row<'_>) -> rusqlite::Result<(i64, Delivery)> {
    let timestamp: Option<i64> = row.get(8)?;
    let headers: Option<String> = row.get(9)?;
    let body: Vec<u8> = row.get(10)?;
    let delivery = Delivery {
        exchange: row.get(1)?,
        routing_key: row.get(2)?,
        properties: Properties {
            message_id: text(row, 3)?,
            kind: text(row, 4)?,
            content_type: text(row, 5)?,
            correlation_id: text(row, 6)?,
            reply_to: text(row, 7)?,
            user_id: Some(SmolStr::new_static(USER)),
            timestamp: timestamp.and_then(|second| Timestamp::from_second(second).ok()),
            headers: headers_from_text(headers.as_deref())?,
        },
        body: Bytes::from(body),
        redelivered: false,
    };
    Ok((row.get(0)?, delivery))
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<SmolStr>> {
    Ok(row.get::<_, Option<String>>(column)?.map(SmolStr::from))
}

fn headers_to_text(headers: &Headers) -> Option<String> {
    if headers.is_empty() {
        return None;
    }
    Some(serde_json::to_string(headers).expect("a map of strings can always be serialized"))
}

fn headers_from_text(text: Option<&str>) -> rusqlite::Result<Headers> {
    let Some(text) = text else {
        return Ok(Headers::new());
    };
    serde_json::from_str(text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(9, rusqlite::types::Type::Text, Box::new(error))
    })
}
