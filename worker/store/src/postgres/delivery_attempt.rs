use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use crate::{DeliveryAttempt, DeliveryAttempts, StoreError, column};

const SELECT: &str = "\
    SELECT inbox.id IS NOT NULL, coalesce(begun.starts, 0) \
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS asked (source, id, redrive_count, place) \
    LEFT JOIN inbox ON inbox.source = asked.source AND inbox.id = asked.id AND inbox.redrive_count >= asked.redrive_count \
    LEFT JOIN delivery_attempt begun \
        ON begun.source = asked.source AND begun.id = asked.id AND begun.redrive_count = asked.redrive_count \
    ORDER BY asked.place";

/// In one order, so that two workers never wait for one another in a circle.
const NOTE: &str = "\
    INSERT INTO delivery_attempt AS begun (source, id, redrive_count, starts, at) \
    SELECT source, id, redrive_count, 1, clock_timestamp() \
    FROM unnest($1::text[], $2::text[], $3::integer[]) AS new (source, id, redrive_count) ORDER BY source, id, redrive_count \
    ON CONFLICT (source, id, redrive_count) DO UPDATE SET starts = begun.starts + 1, at = excluded.at";

const FORGET: &str = "\
    DELETE FROM delivery_attempt USING unnest($1::text[], $2::text[], $3::integer[]) AS ended (source, id, redrive_count) \
    WHERE delivery_attempt.source = ended.source AND delivery_attempt.id = ended.id AND delivery_attempt.redrive_count = ended.redrive_count";

#[async_trait]
impl DeliveryAttempts for PostgresStore {
    async fn begun(&self, starts: &[DeliveryAttempt]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read starts";
        let session = self.session(OPERATION).await?;
        let (sources, ids, redrive_counts) = columns(starts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &redrive_counts];
        let rows = session.rows_for(OPERATION, SELECT, &keys).await?;
        session.give_back();
        let begun = rows.iter().map(|row| {
            let ended: bool = row.get(0);
            let begun = column::read_redrive_count("delivery_attempt.starts", row.get(1))?;
            Ok((!ended).then_some(begun))
        });
        begun.collect()
    }

    async fn note(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_starts("note starts", NOTE, starts).await
    }

    async fn forget(&self, starts: &[DeliveryAttempt]) -> Result<(), StoreError> {
        self.write_starts("forget starts", FORGET, starts).await
    }
}

impl PostgresStore {
    async fn write_starts(
        &self,
        operation: &'static str,
        statement: &str,
        starts: &[DeliveryAttempt],
    ) -> Result<(), StoreError> {
        let session = self.session(operation).await?;
        let (sources, ids, redrive_counts) = columns(starts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &redrive_counts];
        session.rows_for(operation, statement, &keys).await?;
        session.give_back();
        Ok(())
    }
}

fn columns(starts: &[DeliveryAttempt]) -> (Vec<&str>, Vec<&str>, Vec<i32>) {
    let sources = starts.iter().map(|start| start.identity.source.as_str());
    let ids = starts.iter().map(|start| start.identity.id.as_str());
    let redrive_counts = starts
        .iter()
        .map(|start| column::redrive_count(start.redrive_count));
    (sources.collect(), ids.collect(), redrive_counts.collect())
}
