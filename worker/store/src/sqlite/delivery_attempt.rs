use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::connection::Lent;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::{DeliveryAttempt, DeliveryAttempts, StoreError};

const ENDED: &str = "SELECT 1 FROM inbox WHERE source = ?1 AND id = ?2 AND redrive_count >= ?3";

const SELECT: &str =
    "SELECT starts FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND redrive_count = ?3";

const NOTE: &str = "\
    INSERT INTO delivery_attempt (source, id, redrive_count, starts, at) \
    VALUES (?1, ?2, ?3, 1, CAST(unixepoch('subsec') * 1000000 AS INTEGER)) \
    ON CONFLICT (source, id, redrive_count) DO UPDATE SET starts = starts + 1, at = excluded.at";

const FORGET: &str = "DELETE FROM delivery_attempt WHERE source = ?1 AND id = ?2 AND redrive_count = ?3";

#[async_trait]
impl DeliveryAttempts for SqliteStore {
    async fn begun(&self, starts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read starts";
        let lent = Lent::from(&self.readers, OPERATION).await?;
        let starts = starts.to_vec();
        let begun = lent
            .run(OPERATION, move |connection| {
                migrate::check(connection)?;
                starts.iter().map(|start| begun(connection, start)).collect()
            })
            .await?;
        lent.give_back();
        Ok(begun)
    }

    async fn note(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_starts("note starts", NOTE, starts).await
    }

    async fn forget(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_starts("forget starts", FORGET, starts).await
    }
}

fn begun(connection: &Connection, start: &DeliveryAttempt) -> Result<Option<u32>, Failure> {
    let DeliveryAttempt {
        identity,
        redrive_count,
    } = start;
    let key = params![identity.source.as_str(), identity.id.as_str(), redrive_count];
    if connection.prepare_cached(ENDED)?.exists(key)? {
        return Ok(None);
    }
    let mut select = connection.prepare_cached(SELECT)?;
    let begun = select.query_row(key, |row| row.get(0)).optional()?;
    Ok(Some(begun.unwrap_or(0)))
}

impl SqliteStore {
    async fn write_starts(
        &self,
        operation: &'static str,
        statement: &'static str,
        starts: &[DeliveryAttempt],
    ) -> Result<(), StoreError> {
        let starts = starts.to_vec();
        self.write(operation, move |connection| {
            let mut statement = connection.prepare_cached(statement)?;
            for DeliveryAttempt {
                identity,
                redrive_count,
            } in &starts
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
