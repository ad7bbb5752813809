use async_trait::async_trait;
use lockstep_protocol::MessageKey;
use rusqlite::{Connection, OptionalExtension};

use super::connection::PooledConnection;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::{DeliveryAttempt, DeliveryAttempts, StoreError, column};

const ENDED: &str =
    "SELECT 1 FROM inbox WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count >= ?4";

const SELECT: &str = "SELECT attempts FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND actor = ?3 AND redrive_count = ?4";

const RECORD: &str = "\
    INSERT INTO delivery_attempt (source, id, actor, redrive_count, attempts, at) \
    VALUES (?1, ?2, ?3, ?4, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER)) \
    ON CONFLICT (source, id, actor, redrive_count) DO UPDATE SET attempts = attempts + 1, at = excluded.at";

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

    async fn record(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_attempts("record delivery attempts", RECORD, attempts)
            .await
    }

    async fn clear(&self, attempts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_attempts("clear delivery attempts", CLEAR, attempts)
            .await
    }
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

impl SqliteStore {
    async fn write_attempts(
        &self,
        operation: &'static str,
        statement: &'static str,
        attempts: &[DeliveryAttempt],
    ) -> Result<(), StoreError> {
        let attempts = attempts.to_vec();
        self.write_in(operation, move |connection| {
            let mut statement = connection.prepare_cached(statement)?;
            for attempt in &attempts {
                statement.execute(key(attempt))?;
            }
            Ok(())
        })
        .await
    }
}
