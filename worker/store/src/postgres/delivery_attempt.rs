use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use crate::{DeliveryAttempt, DeliveryAttempts, StoreError, column};

const SELECT: &str = "\
    SELECT inbox.id IS NOT NULL, coalesce(begun.attempts, 0) \
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS requested (source, id, redrive_count, place) \
    LEFT JOIN inbox ON inbox.source = requested.source AND inbox.id = requested.id AND inbox.redrive_count >= requested.redrive_count \
    LEFT JOIN delivery_attempt begun \
        ON begun.source = requested.source AND begun.id = requested.id AND begun.redrive_count = requested.redrive_count \
    ORDER BY requested.place";

/// Locks rows in one order, so that two workers cannot deadlock.
const RECORD: &str = "\
    INSERT INTO delivery_attempt AS begun (source, id, redrive_count, attempts, at) \
    SELECT source, id, redrive_count, 1, clock_timestamp() \
    FROM unnest($1::text[], $2::text[], $3::integer[]) AS new (source, id, redrive_count) ORDER BY source, id, redrive_count \
    ON CONFLICT (source, id, redrive_count) DO UPDATE SET attempts = begun.attempts + 1, at = excluded.at";

/// Locks rows in the same order.
const CLEAR: &str = "\
    WITH ended AS ( \
        SELECT delivery_attempt.* FROM delivery_attempt \
        JOIN unnest($1::text[], $2::text[], $3::integer[]) AS requested (source, id, redrive_count) \
            USING (source, id, redrive_count) \
        ORDER BY source, id, redrive_count FOR UPDATE OF delivery_attempt) \
    DELETE FROM delivery_attempt USING ended \
    WHERE delivery_attempt.source = ended.source AND delivery_attempt.id = ended.id \
        AND delivery_attempt.redrive_count = ended.redrive_count";

#[async_trait]
impl DeliveryAttempts for PostgresStore {
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read delivery attempts";
        let session = self.session(OPERATION).await?;
        let (sources, ids, redrive_counts) = columns(attempts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &redrive_counts];
        let rows = session.rows_for(OPERATION, SELECT, &keys).await?;
        session.give_back();
        let unfinished = rows.iter().map(|row| {
            let ended: bool = row.get(0);
            let unfinished = column::read_redrive_count("delivery_attempt.attempts", row.get(1))?;
            Ok((!ended).then_some(unfinished))
        });
        unfinished.collect()
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

impl PostgresStore {
    async fn write_attempts(
        &self,
        operation: &'static str,
        statement: &str,
        attempts: &[DeliveryAttempt],
    ) -> Result<(), StoreError> {
        let session = self.session(operation).await?;
        let (sources, ids, redrive_counts) = columns(attempts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &redrive_counts];
        session.rows_for(operation, statement, &keys).await?;
        session.give_back();
        Ok(())
    }
}

fn columns(attempts: &[DeliveryAttempt]) -> (Vec<&str>, Vec<&str>, Vec<i32>) {
    let sources = attempts.iter().map(|attempt| attempt.identity.source.as_str());
    let ids = attempts.iter().map(|attempt| attempt.identity.id.as_str());
    let redrive_counts = attempts
        .iter()
        .map(|attempt| column::redrive_count(attempt.redrive_count));
    (sources.collect(), ids.collect(), redrive_counts.collect())
}
