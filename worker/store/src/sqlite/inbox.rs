use async_trait::async_trait;
use lockstep_protocol::MessageKey;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::connection::PooledConnection;
use super::error::Failure;
use super::{SqliteStore, migrate};
use crate::{Facts, Inbox, InboxRow, StoreError, column};

/// Fails if the row exists: then one batch recorded a message twice, because `begin` reads all other rows.
const INSERT: &str = "\
    INSERT INTO inbox (source, id, kind, digest, state, at, actor, subject, result_type, result, redrive_count, \
        follow_ups, trace_id) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

/// Deletes the row of a dead-lettered message that is processed again after a requeue. Rows of applied messages stay.
const DELETE_REQUEUED: &str = "DELETE FROM inbox WHERE source = ?1 AND id = ?2 AND actor = ?3 AND state = 'dead' AND redrive_count < ?4";

#[async_trait]
impl Inbox for SqliteStore {
    async fn outcome(&self, message: &MessageKey) -> Result<Option<InboxRow>, StoreError> {
        const OPERATION: &str = "read an outcome";
        let pooled = PooledConnection::from(&self.readers, OPERATION).await?;
        let message = message.clone();
        let read = move |connection: &mut Connection| {
            migrate::check(connection)?;
            find(connection, &message)
        };
        let row = pooled.run(OPERATION, read).await?;
        pooled.give_back();
        Ok(row)
    }
}

pub(super) fn find(connection: &Connection, message: &MessageKey) -> Result<Option<InboxRow>, Failure> {
    let mut select = connection.prepare_cached(
        "SELECT source, id, kind, digest, state, at, actor, subject, result_type, result, redrive_count, follow_ups, trace_id \
         FROM inbox WHERE source = ?1 AND id = ?2 AND actor = ?3",
    )?;
    let MessageKey { identity, actor } = message;
    let actor = column::key_actor(actor.as_deref());
    let key = [identity.source.as_str(), identity.id.as_str(), actor];
    let found = select.query_row(key, |row| Ok(read(row))).optional()?;
    found.transpose()
}

fn read(row: &Row<'_>) -> Result<InboxRow, Failure> {
    let result = column::read_result(&row.get::<_, String>(8)?, row.get(9)?)?;
    Ok(InboxRow {
        identity: column::identity(row.get(0)?, row.get(1)?)?,
        kind: row.get::<_, String>(2)?.into(),
        digest: column::digest(&row.get::<_, Vec<u8>>(3)?)?,
        state: column::read_inbox_state(&row.get::<_, String>(4)?, &result)?,
        at: column::read_microseconds("inbox.at", row.get(5)?)?,
        actor: column::read_key_actor(&row.get::<_, String>(6)?),
        subject: row.get(7)?,
        result,
        redrive_count: row.get(10)?,
        follow_ups: row.get(11)?,
        trace_id: row.get::<_, Option<String>>(12)?.map(Into::into),
    })
}

pub(super) fn insert(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(INSERT)?;
    let mut delete = connection.prepare_cached(DELETE_REQUEUED)?;
    for row in facts.new_inbox() {
        if row.redrive_count > 0 {
            delete.execute(params![
                row.identity.source.as_str(),
                row.identity.id.as_str(),
                column::key_actor(row.actor.as_deref()),
                row.redrive_count
            ])?;
        }
        insert.execute(params![
            row.identity.source.as_str(),
            row.identity.id.as_str(),
            row.kind.as_str(),
            &row.digest.as_bytes()[..],
            column::inbox_state(row.state),
            column::microseconds(row.at),
            column::key_actor(row.actor.as_deref()),
            row.subject,
            row.result.kind().as_str(),
            row.result.json(),
            row.redrive_count,
            row.follow_ups,
            row.trace_id.as_deref(),
        ])?;
    }
    Ok(())
}
