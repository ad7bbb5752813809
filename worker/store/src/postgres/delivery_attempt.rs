use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use super::message_columns::MessageColumns;
use crate::{DeliveryAttempt, DeliveryAttempts, StoreError, column};

const SELECT: &str = "\
    SELECT inbox.id IS NOT NULL, coalesce(begun.attempts, 0) \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[]) \
        WITH ORDINALITY AS requested (source, id, actor, redrive_count, place) \
    LEFT JOIN inbox ON inbox.source = requested.source AND inbox.id = requested.id AND inbox.actor = requested.actor \
        AND inbox.redrive_count >= requested.redrive_count \
    LEFT JOIN delivery_attempt begun ON begun.source = requested.source AND begun.id = requested.id \
        AND begun.actor = requested.actor AND begun.redrive_count = requested.redrive_count \
    ORDER BY requested.place";

/// Locks rows in one order, so that two workers cannot deadlock.
const RECORD: &str = "\
    INSERT INTO delivery_attempt AS begun (source, id, actor, redrive_count, attempts, at) \
    SELECT source, id, actor, redrive_count, 1, clock_timestamp() \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS new (source, id, actor, redrive_count) \
    ORDER BY source, id, actor, redrive_count \
    ON CONFLICT (source, id, actor, redrive_count) DO UPDATE SET attempts = begun.attempts + 1, at = excluded.at";

/// Locks rows in the same order.
const CLEAR: &str = "\
    WITH ended AS ( \
        SELECT delivery_attempt.* FROM delivery_attempt \
        JOIN unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS requested (source, id, actor, redrive_count) \
            USING (source, id, actor, redrive_count) \
        ORDER BY source, id, actor, redrive_count FOR UPDATE OF delivery_attempt) \
    DELETE FROM delivery_attempt USING ended \
    WHERE delivery_attempt.source = ended.source AND delivery_attempt.id = ended.id \
        AND delivery_attempt.actor = ended.actor AND delivery_attempt.redrive_count = ended.redrive_count";

#[async_trait]
impl DeliveryAttempts for PostgresStore {
    async fn unfinished(&self, attempts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read delivery attempts";
        let session = self.session(OPERATION).await?;
        let (messages, redrive_counts) = columns(attempts);
        let [sources, ids, actors] = messages.parameters();
        let keys: [&(dyn ToSql + Sync); 4] = [sources, ids, actors, &redrive_counts];
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
        let (messages, redrive_counts) = columns(attempts);
        let [sources, ids, actors] = messages.parameters();
        let keys: [&(dyn ToSql + Sync); 4] = [sources, ids, actors, &redrive_counts];
        session.rows_for(operation, statement, &keys).await?;
        session.give_back();
        Ok(())
    }
}

fn columns(attempts: &[DeliveryAttempt]) -> (MessageColumns<'_>, Vec<i32>) {
    let redrive_counts = attempts
        .iter()
        .map(|attempt| column::redrive_count(attempt.redrive_count));
    let messages = attempts.iter().map(|attempt| &attempt.message);
    (messages.collect(), redrive_counts.collect())
}
