use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::MessageKey;
use tokio_postgres::Row;

use super::PostgresStore;
use super::message_columns::MessageColumns;
use super::microseconds::Microseconds;
use super::write::Write;
use crate::{Facts, Inbox, InboxRow, NewCause, StoreError, column};

/// Looks up each row by the index, whatever the statistics of the table: `OFFSET 0` prevents a join, for which the planner would read
/// the whole index of a table that was empty.
pub(super) const SELECT: &str = "\
    SELECT found.* FROM unnest($1::text[], $2::text[], $3::text[]) AS requested (source, id, actor) CROSS JOIN LATERAL ( \
        SELECT source, id, kind, digest, state, at, actor, subject, result_type, result, redrive_count, follow_ups, trace_id FROM inbox \
        WHERE inbox.source = requested.source AND inbox.id = requested.id AND inbox.actor = requested.actor OFFSET 0) AS found";

macro_rules! insert {
    ($values:literal) => {
        concat!(
            "INSERT INTO inbox (source, kind, state, at, actor, result_type, redrive_count, follow_ups, cause, note, \
                id, digest, subject, result, cause_id, detail, trace_id) SELECT ",
            $values
        )
    };
}

/// If a row exists, another worker committed it after `begin`, or `begin` did not look: the transaction fails and is repeated.
pub(super) const INSERT: &str = insert!(
    "* FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::text[], $7::integer[], $8::boolean[], \
        $9::text[], $10::text[], $11::text[], $12::bytea[], $13::text[], $14::text[], $15::bigint[], $16::text[], $17::text[])"
);

/// For rows that are [alike](Alike), as those of most batches are: what they share is encoded, sent and read once.
pub(super) const INSERT_ALIKE: &str = insert!(
    "$1::text, $2::text, $3::text, $4::timestamptz, $5::text, $6::text, $7::integer, $8::boolean, $9::text, $10::text, own.* \
        FROM unnest($11::text[], $12::bytea[], $13::text[], $14::text[], $15::bigint[], $16::text[], $17::text[]) AS own"
);

/// Deletes the row of a dead-lettered message that is processed again after a requeue. Rows of applied messages stay.
pub(super) const DELETE_REQUEUED: &str = "\
    DELETE FROM inbox USING unnest($1::text[], $2::text[], $3::text[], $4::integer[]) AS again (source, id, actor, redrive_count) \
        CROSS JOIN LATERAL (SELECT ctid FROM inbox AS stored \
            WHERE stored.source = again.source AND stored.id = again.id AND stored.actor = again.actor OFFSET 0) AS stored (place) \
    WHERE inbox.ctid = stored.place AND inbox.state = 'dead' AND inbox.redrive_count < again.redrive_count";

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
        kind: row.get::<_, &str>(2).into(),
        digest: column::digest(row.get(3))?,
        state: column::read_inbox_state(row.get(4), &result)?,
        at: row.get::<_, Microseconds>(5).0,
        actor: column::read_key_actor(row.get(6)),
        subject: row.get(7),
        result,
        redrive_count: column::read_redrive_count("inbox.redrive_count", row.get(10))?,
        follow_ups: row.get(11),
        trace_id: row.get::<_, Option<&str>>(12).map(Into::into),
    })
}

/// The insert with sorted rows, so that two workers with the same messages cannot deadlock.
pub(super) fn insert<'a>(facts: &'a Facts, cause_ids: &[i64]) -> impl Iterator<Item = Write<'a>> {
    let causes = facts.first_causes().iter().map(|index| {
        let index = (*index)?;
        Some((cause_ids[index], &facts.new_causes()[index]))
    });
    let rows = facts.new_inbox().iter().map(AsRef::as_ref);
    let mut rows: Vec<(&InboxRow, FirstCause<'_>)> = rows.zip(causes).collect();
    rows.sort_unstable_by_key(|(row, _)| (&row.identity, &row.actor));
    let insert = (!rows.is_empty()).then(|| write(&rows));
    delete_requeued(facts).into_iter().chain(insert)
}

/// The first cause of a message, with its id.
type FirstCause<'a> = Option<(i64, &'a NewCause)>;

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

/// The columns that mostly have one value in all rows of a batch.
#[derive(Clone, Copy, PartialEq)]
struct Alike<'a> {
    source: &'a str,
    kind: &'a str,
    state: &'static str,
    at: Timestamp,
    actor: &'a str,
    result_type: &'static str,
    redrive_count: i32,
    follow_ups: bool,
    cause: Option<&'static str>,
    note: &'a str,
}

impl<'a> Alike<'a> {
    fn of((row, cause): &(&'a InboxRow, FirstCause<'a>)) -> Self {
        let cause = cause.map(|(_, cause)| cause);
        Self {
            source: row.identity.source.as_str(),
            kind: &row.kind,
            state: column::inbox_state(row.state),
            at: row.at,
            actor: column::key_actor(row.actor.as_deref()),
            result_type: row.result.kind().as_str(),
            redrive_count: column::redrive_count(row.redrive_count),
            follow_ups: row.follow_ups,
            cause: cause.map(|cause| cause.cause.as_str()),
            note: cause.and_then(|cause| cause.note.as_deref()).unwrap_or_default(),
        }
    }
}

fn write<'a>(rows: &[(&'a InboxRow, FirstCause<'a>)]) -> Write<'a> {
    let alike = Alike::of(&rows[0]);
    let write = if rows.iter().all(|row| Alike::of(row) == alike) {
        Write::new(INSERT_ALIKE)
            .value(alike.source)
            .value(alike.kind)
            .value(alike.state)
            .value(Microseconds(alike.at))
            .value(alike.actor)
            .value(alike.result_type)
            .value(alike.redrive_count)
            .value(alike.follow_ups)
            .value(alike.cause)
            .value(alike.note)
    } else {
        let rows = rows.iter().map(Alike::of);
        Write::new(INSERT)
            .column(rows.clone().map(|row| row.source))
            .column(rows.clone().map(|row| row.kind))
            .column(rows.clone().map(|row| row.state))
            .column(rows.clone().map(|row| Microseconds(row.at)))
            .column(rows.clone().map(|row| row.actor))
            .column(rows.clone().map(|row| row.result_type))
            .column(rows.clone().map(|row| row.redrive_count))
            .column(rows.clone().map(|row| row.follow_ups))
            .column(rows.clone().map(|row| row.cause))
            .column(rows.map(|row| row.note))
    };
    let causes = rows.iter().map(|(_, cause)| *cause);
    let rows = rows.iter().map(|(row, _)| *row);
    let details = causes
        .clone()
        .map(|cause| cause.and_then(|(_, cause)| cause.detail.as_deref()));
    write
        .column(rows.clone().map(|row| row.identity.id.as_str()))
        .column(rows.clone().map(|row| &row.digest.as_bytes()[..]))
        .column(rows.clone().map(|row| row.subject.as_deref()))
        .column(rows.clone().map(|row| row.result.json()))
        .column(causes.map(|cause| cause.map(|(id, _)| id)))
        .column(details.map(column::cause_detail))
        .column(rows.map(|row| row.trace_id.as_deref()))
}
