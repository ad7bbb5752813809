use std::collections::BTreeSet;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::connection::PooledConnection;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::{AttemptStart, DeliveryAttempt, DeliveryAttempts, StoreError};

const ENDED: &str = "SELECT 1 FROM inbox WHERE source = ?1 AND id = ?2 AND redrive_count >= ?3";

const SELECT: &str =
    "SELECT attempts FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND redrive_count = ?3";

const RECORD: &str = "\
    INSERT INTO delivery_attempt (source, id, redrive_count, attempts, at) \
    VALUES (?1, ?2, ?3, ?4 + 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER)) \
    ON CONFLICT (source, id, redrive_count) DO UPDATE SET attempts = max(attempts, excluded.attempts), at = excluded.at";

/// What is left of a count is deleted with the end of its message, or by retention.
const GIVE_BACK: &str = "\
    UPDATE delivery_attempt SET attempts = ?4 \
    WHERE source = ?1 AND id = ?2 AND redrive_count = ?3 AND attempts = ?4 + 1";

const CLEAR: &str = "DELETE FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND redrive_count = ?3";

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
            for DeliveryAttempt {
                identity,
                redrive_count,
            } in &attempts
            {
                statement.execute(params![
                    identity.source.as_str(),
                    identity.id.as_str(),
                    redrive_count
                ])?;
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
        let DeliveryAttempt {
            identity,
            redrive_count,
        } = attempt;
        statement.execute(params![
            identity.source.as_str(),
            identity.id.as_str(),
            redrive_count,
            unfinished
        ])?;
    }
    Ok(())
}

fn unfinished(connection: &Connection, attempt: &DeliveryAttempt) -> Result<Option<u32>, Failure> {
    let DeliveryAttempt {
        identity,
        redrive_count,
    } = attempt;
    let key = params![identity.source.as_str(), identity.id.as_str(), redrive_count];
    if connection.prepare_cached(ENDED)?.exists(key)? {
        return Ok(None);
    }
    let mut select = connection.prepare_cached(SELECT)?;
    let unfinished = select.query_row(key, |row| row.get(0)).optional()?;
    Ok(Some(unfinished.unwrap_or(0)))
}
