use async_trait::async_trait;
use tokio_postgres::types::ToSql;

use super::PostgresStore;
use crate::store::{Start, Starts, StoreError, column};

const SELECT: &str = "\
    SELECT inbox.id IS NOT NULL, coalesce(begun.starts, 0) \
    FROM unnest($1::text[], $2::text[], $3::integer[]) WITH ORDINALITY AS asked (source, id, epoch, place) \
    LEFT JOIN inbox ON inbox.source = asked.source AND inbox.id = asked.id AND inbox.epoch >= asked.epoch \
    LEFT JOIN delivery_start begun \
        ON begun.source = asked.source AND begun.id = asked.id AND begun.epoch = asked.epoch \
    ORDER BY asked.place";

/// In one order, so that two workers never wait for one another in a circle.
const NOTE: &str = "\
    INSERT INTO delivery_start AS begun (source, id, epoch, starts, at) \
    SELECT source, id, epoch, 1, clock_timestamp() \
    FROM unnest($1::text[], $2::text[], $3::integer[]) AS new (source, id, epoch) ORDER BY source, id, epoch \
    ON CONFLICT (source, id, epoch) DO UPDATE SET starts = begun.starts + 1, at = excluded.at";

const FORGET: &str = "\
    DELETE FROM delivery_start USING unnest($1::text[], $2::text[], $3::integer[]) AS ended (source, id, epoch) \
    WHERE delivery_start.source = ended.source AND delivery_start.id = ended.id AND delivery_start.epoch = ended.epoch";

#[async_trait]
impl Starts for PostgresStore {
    async fn begun(&self, starts: &[Start]) -> Result<Vec<Option<u32>>, StoreError> {
        const OPERATION: &str = "read starts";
        let session = self.session(OPERATION).await?;
        let (sources, ids, epochs) = columns(starts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &epochs];
        let rows = session.rows_for(OPERATION, SELECT, &keys).await?;
        session.give_back();
        let begun = rows.iter().map(|row| {
            let ended: bool = row.get(0);
            let begun = column::read_epoch("delivery_start.starts", row.get(1))?;
            Ok((!ended).then_some(begun))
        });
        begun.collect()
    }

    async fn note(&self, starts: &[Start]) -> Result<(), StoreError> {
        self.write_starts("note starts", NOTE, starts).await
    }

    async fn forget(&self, starts: &[Start]) -> Result<(), StoreError> {
        self.write_starts("forget starts", FORGET, starts).await
    }
}

impl PostgresStore {
    async fn write_starts(
        &self,
        operation: &'static str,
        statement: &str,
        starts: &[Start],
    ) -> Result<(), StoreError> {
        let session = self.session(operation).await?;
        let (sources, ids, epochs) = columns(starts);
        let keys: [&(dyn ToSql + Sync); 3] = [&sources, &ids, &epochs];
        session.rows_for(operation, statement, &keys).await?;
        session.give_back();
        Ok(())
    }
}

fn columns(starts: &[Start]) -> (Vec<&str>, Vec<&str>, Vec<i32>) {
    let sources = starts.iter().map(|start| start.identity.source.as_str());
    let ids = starts.iter().map(|start| start.identity.id.as_str());
    let epochs = starts.iter().map(|start| column::epoch(start.epoch));
    (sources.collect(), ids.collect(), epochs.collect())
}
