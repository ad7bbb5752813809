use async_trait::async_trait;
use lockstep_protocol::MessageKey;
use tokio_postgres::Row;

use super::PostgresStore;
use super::message_columns::MessageColumns;
use super::microseconds::Microseconds;
use super::write::Write;
use crate::{Facts, Inbox, InboxRow, StoreError, column};

/// Looks up each row by the index, whatever the statistics of the table.
pub(super) const SELECT: &str = "\
    SELECT inbox.source, inbox.id, kind, digest, state, at, inbox.actor, subject, result_type, result, redrive_count, follow_ups \
    FROM unnest($1::text[], $2::text[], $3::text[]) AS requested (source, id, actor) \
    JOIN inbox ON inbox.source = requested.source AND inbox.id = requested.id AND inbox.actor = requested.actor";

macro_rules! insert {
    ($column:literal, $value:literal) => {
        concat!(
            "INSERT INTO inbox (source, id, kind, digest, state, at, actor, subject, result_type, result, redrive_count",
            $column,
            ") SELECT *",
            $value,
            " FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[], \
            $7::text[], $8::text[], $9::text[], $10::text[], $11::integer[])"
        )
    };
}

/// If a row exists, another worker committed it after `begin`: the transaction fails and is repeated.
pub(super) const INSERT: &str = insert!("", "");

/// Separate from [`INSERT`], so that the many messages without follow-ups need no parameter for this column.
const INSERT_WITH_FOLLOW_UPS: &str = insert!(", follow_ups", ", true");

/// Deletes the row of a dead-lettered message that is processed again after a requeue. Rows of applied messages stay.
pub(super) const DELETE_REQUEUED: &str = "\
    DELETE FROM inbox USING unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS again (source, id, actor, redrive_count) \
    WHERE inbox.source = again.source AND inbox.id = again.id AND inbox.actor = again.actor AND inbox.state = 'dead' AND inbox.redrive_count < again.redrive_count";

#[async_trait]
impl Inbox for PostgresStore {
    async fn outcome(&self, message: &MessageKey) -> Result<Option<InboxRow>, StoreError> {
        const OPERATION: &str = "read an outcome";
        let session = self.session(OPERATION).await?;
        let message = MessageColumns::from_iter([message]);
        let rows = session
            .answer(OPERATION, async {
                let statement = session.prepare_cached(SELECT).await?;
                session.query(&statement, &message.parameters()).await
            })
            .await?;
        session.give_back();
        rows.first().map(read).transpose()
    }
}

pub(super) fn read(row: &Row) -> Result<InboxRow, StoreError> {
    let result = column::read_result(row.get(8), row.get(9))?;
    Ok(InboxRow {
        identity: column::identity(row.get(0), row.get(1))?,
        kind: row.get(2),
        digest: column::digest(row.get(3))?,
        state: column::read_inbox_state(row.get(4), &result)?,
        at: row.get::<_, Microseconds>(5).0,
        actor: column::read_key_actor(row.get(6)),
        subject: row.get(7),
        result,
        redrive_count: column::read_redrive_count("inbox.redrive_count", row.get(10))?,
        follow_ups: row.get(11),
    })
}

/// The inserts, each with sorted rows, so that two workers with the same messages cannot deadlock.
pub(super) fn insert(facts: &Facts) -> impl Iterator<Item = Write<'_>> {
    let mut rows: Vec<&InboxRow> = facts.new_inbox().iter().map(AsRef::as_ref).collect();
    rows.sort_unstable_by_key(|row| (&row.identity, &row.actor));
    let (with_follow_ups, own): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.follow_ups);
    let inserts = [(INSERT, own), (INSERT_WITH_FOLLOW_UPS, with_follow_ups)]
        .into_iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(statement, rows)| write(statement, &rows));
    delete_requeued(facts).into_iter().chain(inserts)
}

fn delete_requeued(facts: &Facts) -> Option<Write<'_>> {
    let again = || facts.new_inbox().iter().filter(|row| row.redrive_count > 0);
    again().next()?;
    let delete = Write::new(DELETE_REQUEUED)
        .column(again().map(|row| row.identity.source.as_str()))
        .column(again().map(|row| row.identity.id.as_str()))
        .column(again().map(|row| column::key_actor(row.actor.as_deref())))
        .column(again().map(|row| column::redrive_count(row.redrive_count)));
    Some(delete)
}

fn write<'a>(statement: &'static str, rows: &[&'a InboxRow]) -> Write<'a> {
    let rows = rows.iter().copied();
    Write::new(statement)
        .column(rows.clone().map(|row| row.identity.source.as_str()))
        .column(rows.clone().map(|row| row.identity.id.as_str()))
        .column(rows.clone().map(|row| row.kind.as_str()))
        .column(rows.clone().map(|row| &row.digest.as_bytes()[..]))
        .column(rows.clone().map(|row| column::inbox_state(row.state)))
        .column(rows.clone().map(|row| Microseconds(row.at)))
        .column(rows.clone().map(|row| column::key_actor(row.actor.as_deref())))
        .column(rows.clone().map(|row| row.subject.as_deref()))
        .column(rows.clone().map(|row| row.result.kind().as_str()))
        .column(rows.clone().map(|row| column::result(&row.result)))
        .column(rows.map(|row| column::redrive_count(row.redrive_count)))
}
