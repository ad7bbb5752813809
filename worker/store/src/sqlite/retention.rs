use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::SqliteStore;
use super::error::Failure;
use crate::{Expired, OpenCauses, Records, Retention, StoreError, column, expiry};

/// The maximum number of rows in one transaction, for which batches have to wait.
const MOST: u32 = 1000;

const EXPIRE_INBOX: &str = "\
    DELETE FROM inbox WHERE (source, id, actor) IN ( \
        SELECT source, id, actor FROM inbox WHERE at < ?1 \
            AND NOT EXISTS (SELECT 1 FROM dead_letter \
                WHERE dead_letter.source = inbox.source AND dead_letter.id = inbox.id AND coalesce(dead_letter.actor, '') = inbox.actor \
                AND dead_letter.state IN ('dead', 'requeued')) \
            AND NOT EXISTS (SELECT 1 FROM dead_letter \
                WHERE request_source = inbox.source AND request_id = inbox.id AND coalesce(settled_by, '') = inbox.actor \
                AND dead_letter.state = 'requeued') \
        ORDER BY at LIMIT ?2)";

const OPEN_CAUSES: &str = "SELECT value FROM device, json_each(device.open_causes)";

const SELECT_CAUSES: &str = "SELECT id, at FROM cause WHERE id > ?1 ORDER BY id LIMIT ?2";

const DELETE_CAUSE: &str = "DELETE FROM cause WHERE id = ?1";

const SELECT_DEAD_LETTERS: &str = "\
    SELECT number, state IN ('processed', 'dropped') AND settled_at < ?2 FROM dead_letter WHERE number > ?1 \
    ORDER BY number LIMIT ?3";

const DELETE_DEAD_LETTER: &str = "DELETE FROM dead_letter WHERE number = ?1";

const EXPIRE_DELIVERY_ATTEMPTS: &str = "\
    DELETE FROM delivery_attempt WHERE (source, id, actor, redrive_count) IN ( \
        SELECT source, id, actor, redrive_count FROM delivery_attempt WHERE at < ?1 LIMIT ?2)";

#[async_trait]
impl Retention for SqliteStore {
    async fn open_causes(&self) -> Result<OpenCauses, StoreError> {
        self.read_in("read open causes", |connection| {
            let mut select = connection.prepare_cached(OPEN_CAUSES)?;
            let causes = select.query_map([], |row| row.get(0))?;
            Ok(OpenCauses::new(causes.collect::<Result<_, _>>()?))
        })
        .await
    }

    async fn expire(
        &self,
        records: &Records,
        before: Timestamp,
        from: u64,
        limit: u32,
    ) -> Result<Expired, StoreError> {
        if let Some(expired) = expiry::expire(self, records, before, from, limit.min(MOST)).await? {
            return Ok(expired);
        }
        let (records, before) = (records.clone(), column::microseconds(before));
        let (from, limit) = (i64::try_from(from).unwrap_or(i64::MAX), limit.min(MOST));
        self.write_in("delete expired records", move |connection| match &records {
            // Causes are rows of their own.
            Records::Inbox(_) => oldest(connection, EXPIRE_INBOX, before, limit),
            Records::Causes(open) => causes(connection, open, before, from, limit),
            Records::DeadLetters => dead_letters(connection, before, from, limit),
            Records::DeliveryAttempts => oldest(connection, EXPIRE_DELIVERY_ATTEMPTS, before, limit),
            Records::Executions
            | Records::FormerHostnames
            | Records::RemovedLinks
            | Records::RemovedManagementDomains
            | Records::DeviceHistory
            | Records::SyncTexts
            | Records::LoginSessions
            | Records::Audit
            | Records::FleetSamples(_) => unreachable!("deleted above"),
        })
        .await
    }
}

/// Deletes the oldest rows. For tables with an index by time, and for small ones.
fn oldest(connection: &Connection, statement: &str, before: i64, limit: u32) -> Result<Expired, Failure> {
    let deleted = connection
        .prepare_cached(statement)?
        .execute(params![before, limit])?;
    Ok(Expired {
        deleted: deleted as u64,
        next: (deleted == limit as usize).then_some(0),
    })
}

fn causes(
    connection: &Connection,
    open: &OpenCauses,
    before: i64,
    from: i64,
    limit: u32,
) -> Result<Expired, Failure> {
    let mut select = connection.prepare_cached(SELECT_CAUSES)?;
    let rows = select.query_map(params![from, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let page: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    let old = |at: i64| at < before;
    let mut delete = connection.prepare_cached(DELETE_CAUSE)?;
    let mut deleted = 0;
    for (id, at) in &page {
        if old(*at) && !open.contains(*id) {
            deleted += delete.execute([id])?;
        }
    }
    // The ids of causes are ordered by time.
    let has_more = page.len() == limit as usize && page.iter().any(|(_, at)| old(*at));
    Ok(Expired {
        deleted: deleted as u64,
        next: page.last().filter(|_| has_more).map(|(id, _)| id.unsigned_abs()),
    })
}

fn dead_letters(connection: &Connection, before: i64, from: i64, limit: u32) -> Result<Expired, Failure> {
    let mut select = connection.prepare_cached(SELECT_DEAD_LETTERS)?;
    let rows = select.query_map(params![from, before, limit], |row| {
        Ok((row.get(0)?, row.get::<_, Option<bool>>(1)?))
    })?;
    let page: Vec<(i64, Option<bool>)> = rows.collect::<Result<_, _>>()?;
    let mut delete = connection.prepare_cached(DELETE_DEAD_LETTER)?;
    let mut deleted = 0;
    for (number, _) in page.iter().filter(|(_, expired)| *expired == Some(true)) {
        deleted += delete.execute([number])?;
    }
    let has_more = page.len() == limit as usize;
    Ok(Expired {
        deleted: deleted as u64,
        next: page
            .last()
            .filter(|_| has_more)
            .map(|(number, _)| number.unsigned_abs()),
    })
}
