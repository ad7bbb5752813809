use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use deadpool_postgres::Pool;
use tokio_postgres::types::ToSql;

use super::message_columns::MessageColumns;
use super::session::Session;
use super::{PostgresOptions, PostgresStore, connect};
use crate::{AttemptStart, DeliveryAttempt, DeliveryAttempts, StoreError, column};

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
    SELECT source, id, actor, redrive_count, unfinished + 1, clock_timestamp() \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[]) \
        AS new (source, id, actor, redrive_count, unfinished) \
    ORDER BY source, id, actor, redrive_count \
    ON CONFLICT (source, id, actor, redrive_count) DO UPDATE \
        SET attempts = greatest(begun.attempts, excluded.attempts), at = excluded.at";

/// Locks rows in the same order. What is left of a count is deleted with the end of its message, or by retention.
const GIVE_BACK: &str = "\
    WITH given_back AS ( \
        SELECT delivery_attempt.*, unfinished FROM delivery_attempt \
        JOIN unnest($1::text[], $2::text[], $3::text[], $4::integer[], $5::integer[]) \
            AS requested (source, id, actor, redrive_count, unfinished) USING (source, id, actor, redrive_count) \
        ORDER BY source, id, actor, redrive_count FOR UPDATE OF delivery_attempt) \
    UPDATE delivery_attempt SET attempts = unfinished FROM given_back \
    WHERE delivery_attempt.source = given_back.source AND delivery_attempt.id = given_back.id \
        AND delivery_attempt.actor = given_back.actor AND delivery_attempt.redrive_count = given_back.redrive_count \
        AND delivery_attempt.attempts = unfinished + 1";

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
        let (messages, redrive_counts) = columns(attempts);
        let [sources, ids, actors] = messages.parameters();
        let keys: [&(dyn ToSql + Sync); 4] = [sources, ids, actors, &redrive_counts];
        let rows = self.rows(OPERATION, SELECT, &keys).await?;
        let unfinished = rows.iter().map(|row| {
            let ended: bool = row.get(0);
            let unfinished = column::read_redrive_count("delivery_attempt.attempts", row.get(1))?;
            Ok((!ended).then_some(unfinished))
        });
        unfinished.collect()
    }

    async fn record(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError> {
        self.attempts
            .write("record delivery attempts", RECORD, starts)
            .await
    }

    async fn give_back(&self, starts: &BTreeSet<AttemptStart>) -> Result<(), StoreError> {
        self.attempts
            .write("give back delivery attempts", GIVE_BACK, starts)
            .await
    }

    async fn clear(&self, attempts: &BTreeSet<DeliveryAttempt>) -> Result<(), StoreError> {
        let (messages, redrive_counts) = columns(attempts);
        let [sources, ids, actors] = messages.parameters();
        let keys: [&(dyn ToSql + Sync); 4] = [sources, ids, actors, &redrive_counts];
        self.rows("clear delivery attempts", CLEAR, &keys).await?;
        Ok(())
    }
}

/// Sessions of their own for counting: a start commits whatever becomes of its transaction, and a transaction that holds the
/// last session of the pool never waits for another one.
pub(super) struct AttemptSessions {
    pool: Pool,
    options: PostgresOptions,
}

impl AttemptSessions {
    /// Each is in use for one statement at a time.
    const SESSIONS: usize = 2;

    pub(super) fn new(options: &PostgresOptions) -> Result<Self, StoreError> {
        let options = PostgresOptions {
            sessions: Self::SESSIONS,
            ..options.clone()
        };
        Ok(Self {
            pool: connect::pool(&options)?,
            options,
        })
    }

    async fn write(
        &self,
        operation: &'static str,
        statement: &'static str,
        starts: &BTreeSet<AttemptStart>,
    ) -> Result<(), StoreError> {
        let (messages, redrive_counts) = columns(starts.iter().map(|start| &start.attempt));
        let unfinished: Vec<i32> = starts
            .iter()
            .map(|start| column::redrive_count(start.unfinished))
            .collect();
        let [sources, ids, actors] = messages.parameters();
        let keys: [&(dyn ToSql + Sync); 5] = [sources, ids, actors, &redrive_counts, &unfinished];
        let session =
            Session::from_pool(&self.pool, &self.options, [statement].into_iter(), operation).await?;
        session.execute_one(operation, statement, &keys).await?;
        session.give_back();
        Ok(())
    }
}

/// The starts that were counted with a transaction.
pub(super) struct Counted {
    sessions: Arc<AttemptSessions>,
    starts: BTreeSet<AttemptStart>,
}

impl Counted {
    pub(super) async fn record(
        sessions: &Arc<AttemptSessions>,
        starts: &BTreeSet<AttemptStart>,
    ) -> Result<Option<Self>, StoreError> {
        if starts.is_empty() {
            return Ok(None);
        }
        sessions.write("record delivery attempts", RECORD, starts).await?;
        Ok(Some(Self {
            sessions: sessions.clone(),
            starts: starts.clone(),
        }))
    }

    /// The attempts decided; what follows is a wait for the commit.
    pub(super) async fn give_back(self) -> Result<(), StoreError> {
        self.sessions
            .write("give back delivery attempts", GIVE_BACK, &self.starts)
            .await
    }
}

fn columns<'a>(attempts: impl IntoIterator<Item = &'a DeliveryAttempt>) -> (MessageColumns<'a>, Vec<i32>) {
    let attempts = attempts.into_iter();
    let pairs = attempts.map(|attempt| (&attempt.message, column::redrive_count(attempt.redrive_count)));
    let (messages, redrive_counts): (Vec<_>, Vec<_>) = pairs.unzip();
    (messages.into_iter().collect(), redrive_counts)
}
