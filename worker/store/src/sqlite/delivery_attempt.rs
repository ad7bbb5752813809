use std::collections::BTreeSet;

use async_trait::async_trait;
use lockstep_protocol::MessageKey;
use rusqlite::{Connection, OptionalExtension};

use super::connection::PooledConnection;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::{AttemptStart, DeliveryAttempt, DeliveryAttempts, StoreError, column};

const ENDED: &str =
    "SELECT 1 FROM inbox WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count >= ?4";

const SELECT: &str = "SELECT attempts FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count = ?4";

const RECORD: &str = "\
    INSERT INTO delivery_attempt (source, id, actor, redrive_count, attempts, at) \
    VALUES (?1, ?2, ?3, ?4, ?5 + 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER)) \
    ON CONFLICT (source, id, actor, redrive_count) DO UPDATE \
        SET attempts = max(attempts, excluded.attempts), at = excluded.at";

/// What is left of a count is deleted with the end of its message, or by retention.
const GIVE_BACK: &str = "\
    UPDATE delivery_attempt SET attempts = ?5 \
    WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count = ?4 AND attempts = ?5 + 1";

const CLEAR: &str =
    "DELETE FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count = ?4";

#[async_trait]
impl DeliveryAttempts for SqliteStore {
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read delivery attempts";
        let pooled = PooledConnection::from(&self.readers, OPERATION).await?;
        let attempts = attempts.to_vec();
        let unfinished = pooled
            .run(OPERATION, move |connection| {
                migrate::check(connection)?;
                attempts
                    .iter()
                    .map(|attempt| unfinished(connection, attempt))
                    .collect()
            })
            .await?;
        pooled.give_back();
        Ok(unfinished)
    }

    async fn record(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError> {
        let starts = starts.clone();
        self.write_in("record delivery attempts", move |connection| {
            record(connection, &starts)
        })
        .await
    }

    async fn give_back(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError> {
        let starts = starts.clone();
        self.write_in("give back delivery attempts", move |connection| {
            give_back(connection, &starts)
        })
        .await
    }

    async fn clear(&self, attempts: &BTreeSet<DeliveryAttempt>) -> Result<(), StoreError> {
        let attempts = attempts.clone();
        self.write_in("clear delivery attempts", move |connection| {
            let mut statement = connection.prepare_cached(CLEAR)?;
            for attempt in &attempts {
                statement.execute(key(attempt))?;
            }
            Ok(())
        })
        .await
    }
}

/// Counts the starts within the open transaction.
pub(super) fn record(connection: &Connection, starts: &BTreeSet<AttemptStart>) -> Result<(), Failure> {
    write(connection, RECORD, starts)
}

/// Gives the starts back within the open transaction.
pub(super) fn give_back(connection: &Connection, starts: &BTreeSet<AttemptStart>) -> Result<(), Failure> {
    write(connection, GIVE_BACK, starts)
}

fn write(
    connection: &Connection,
    statement: &'static str,
    starts: &BTreeSet<AttemptStart>,
) -> Result<(), Failure> {
    let mut statement = connection.prepare_cached(statement)?;
    for AttemptStart { attempt, unfinished } in starts {
        let (source, id, actor, redrive_count) = key(attempt);
        statement.execute((source, id, actor, redrive_count, unfinished))?;
    }
    Ok(())
}

fn key(attempt: &DeliveryAttempt) -> (&str, &str, &str, u32) {
    let MessageKey { identity, actor } = &attempt.message;
    (
        identity.source.as_str(),
        identity.id.as_str(),
        column::key_actor(actor.as_deref()),
        attempt.redrive_count,
    )
}

fn unfinished(connection: &Connection, attempt: &DeliveryAttempt) -> Result<Option<u32>, Failure> {
    let key = key(attempt);
    if connection.prepare_cached(ENDED)?.exists(key)? {
        return Ok(None);
    }
    let mut select = connection.prepare_cached(SELECT)?;
    let unfinished = select.query_row(key, |row| row.get(0)).optional()?;
    Ok(Some(unfinished.unwrap_or(0)))
}
