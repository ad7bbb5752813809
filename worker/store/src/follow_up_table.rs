//! The outbox on both databases: the table of follow-ups, and the dead letters that are requeued.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use lockstep_protocol::MessageKey;
use lockstep_protocol::topology::Lane;

use super::follow_up::due_again;
use super::sql::{Row, SqlDatabase, SqlSession, Value};
use super::{
    Facts, FollowUp, FollowUpKey, FollowUps, MessageProperties, NewFollowUp, StoreError, UNPUBLISHED_GRACE,
    column,
};

const READ: &str = "read follow-ups";
const WRITE: &str = "write follow-ups";

macro_rules! follow_up {
    ($condition:literal) => {
        concat!(
            "SELECT number, lane, body, kind, id, reply_to, correlation_id, actor, at, published FROM follow_up WHERE ",
            $condition
        )
    };
}

macro_rules! dead_letter {
    ($condition:literal) => {
        concat!(
            "SELECT number, lane, body, properties, actor, first_at, redrive_count, published FROM dead_letter WHERE ",
            $condition
        )
    };
}

const UNPUBLISHED: &str = follow_up!(
    "cause_source = $1 AND cause_id = $2 AND number > $4 AND coalesce(actor, '') = $3 AND published = 0 AND NOT delayed \
     ORDER BY number LIMIT $5"
);

/// The state must not lead to the index of states, which has those of all requests in the order of their numbers.
const UNPUBLISHED_DEAD_LETTERS: &str = dead_letter!(
    "state || '' = 'requeued' AND request_source = $1 AND request_id = $2 AND number > $4 AND coalesce(settled_by, '') = $3 \
     AND published = 0 ORDER BY number LIMIT $5"
);

/// Sorted by time, so that the longest overdue follow-up is first.
const OVERDUE: &str = follow_up!(
    "due_at <= $1 AND NOT EXISTS (SELECT 1 FROM lease WHERE lease.name = follow_up.lease AND lease.until > $1) \
     ORDER BY due_at, number LIMIT $2 FOR UPDATE SKIP LOCKED"
);

/// Only requeued dead letters have a time.
const OVERDUE_DEAD_LETTERS: &str =
    dead_letter!("due_at <= $1 ORDER BY due_at, number LIMIT $2 FOR UPDATE SKIP LOCKED");

const NOW: &str = "SELECT {now}";

const CLAIM: &str = "UPDATE follow_up SET due_at = $2 WHERE number = $1";
const CLAIM_DEAD_LETTER: &str = "UPDATE dead_letter SET due_at = $2 WHERE number = $1 AND state = 'requeued'";

const PUBLISHED: &str = "UPDATE follow_up SET published = published + 1, due_at = $2 WHERE number = $1";
const PUBLISHED_DEAD_LETTER: &str = "\
    UPDATE dead_letter SET published = published + 1, due_at = $2 WHERE number = $1 AND state = 'requeued'";

const DELETE: &str = "DELETE FROM follow_up WHERE number = $1";
const POSTPONE: &str = "UPDATE follow_up SET due_at = $2 WHERE number = $1";

const MAKE_DUE: &str =
    "UPDATE follow_up SET due_at = {now} WHERE lane = $1 AND published > 0 AND due_at > {now}";
const MAKE_DEAD_LETTERS_DUE: &str = "\
    UPDATE dead_letter SET due_at = {now} \
    WHERE state = 'requeued' AND lane = $1 AND published > 0 AND due_at > {now}";

/// An existing row was written for the same message, so it stays.
const INSERT: &str = "\
    INSERT INTO follow_up (source, id, cause_source, cause_id, lane, kind, body, reply_to, correlation_id, actor, lease, \
        at, due_at, delayed) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
    ON CONFLICT (source, id) DO NOTHING";

#[async_trait]
impl<D: SqlDatabase> FollowUps for D {
    async fn unpublished(
        &self,
        cause: &MessageKey,
        after: Option<FollowUpKey>,
        limit: u32,
    ) -> Result<Vec<FollowUp>, StoreError> {
        let parameters = |after: u64| {
            vec![
                cause.identity.source.as_str().into(),
                cause.identity.id.as_str().into(),
                column::key_actor(cause.actor.as_deref()).into(),
                after.into(),
                limit.into(),
            ]
        };
        let after_message = match after {
            Some(FollowUpKey::Message(number)) => number,
            // Dead letters come first.
            None | Some(FollowUpKey::DeadLetter(_)) => {
                let after = after.map_or(0, FollowUpKey::number);
                let rows = self
                    .read(READ, UNPUBLISHED_DEAD_LETTERS, parameters(after))
                    .await?;
                if !rows.is_empty() {
                    return rows.iter().map(read_dead_letter).collect();
                }
                0
            }
        };
        let rows = self.read(READ, UNPUBLISHED, parameters(after_message)).await?;
        rows.iter().map(read).collect()
    }

    async fn mark_published(
        &self,
        follow_ups: &[FollowUp],
        republish_after: Duration,
    ) -> Result<(), StoreError> {
        let transaction = self.write(WRITE).await?;
        let now = now(&*transaction).await?;
        let due_again = |follow_up: &FollowUp| due_again(now, republish_after, follow_up.published);
        let due = moved(follow_ups, due_again);
        transaction
            .execute_each(WRITE, PUBLISHED_DEAD_LETTER, due.dead_letters)
            .await?;
        transaction.execute_each(WRITE, PUBLISHED, due.messages).await?;
        transaction.execute_each(WRITE, DELETE, due.results).await?;
        transaction.commit(WRITE).await
    }

    async fn claim_overdue(&self, limit: u32) -> Result<Vec<FollowUp>, StoreError> {
        let transaction = self.write(WRITE).await?;
        let now = now(&*transaction).await?;
        let parameters = |limit: u32| vec![now.into(), limit.into()];
        let rows = transaction
            .query(READ, OVERDUE_DEAD_LETTERS, parameters(limit))
            .await?;
        let mut claimed: Vec<FollowUp> = rows.iter().map(read_dead_letter).collect::<Result<_, _>>()?;
        let rest = limit.saturating_sub(u32::try_from(claimed.len()).unwrap_or(limit));
        if rest > 0 {
            let rows = transaction.query(READ, OVERDUE, parameters(rest)).await?;
            for row in &rows {
                claimed.push(read(row)?);
            }
        }
        let due = moved(&claimed, |_| now + UNPUBLISHED_GRACE);
        transaction
            .execute_each(WRITE, CLAIM_DEAD_LETTER, due.dead_letters)
            .await?;
        let results = claimed.iter().filter(|follow_up| follow_up.lane.is_none());
        let results = results.map(|follow_up| vec![number(follow_up.key), (now + UNPUBLISHED_GRACE).into()]);
        let messages = due.messages.into_iter().chain(results);
        transaction.execute_each(WRITE, CLAIM, messages.collect()).await?;
        transaction.commit(WRITE).await?;
        Ok(claimed)
    }

    async fn make_due(&self, lanes: &[Lane]) -> Result<u64, StoreError> {
        let lanes = || lanes.iter().map(|lane| vec![lane.as_str().into()]).collect();
        let transaction = self.write(WRITE).await?;
        let dead_letters = transaction
            .execute_each(WRITE, MAKE_DEAD_LETTERS_DUE, lanes())
            .await?;
        let messages = transaction.execute_each(WRITE, MAKE_DUE, lanes()).await?;
        transaction.commit(WRITE).await?;
        Ok(dead_letters + messages)
    }
}

/// Parameters of the statements that move rows on, by table.
struct Moved {
    dead_letters: Vec<Vec<Value>>,
    messages: Vec<Vec<Value>>,
    results: Vec<Vec<Value>>,
}

fn moved(follow_ups: &[FollowUp], due_at: impl Fn(&FollowUp) -> Timestamp) -> Moved {
    let mut moved = Moved {
        dead_letters: Vec::new(),
        messages: Vec::new(),
        results: Vec::new(),
    };
    let mut sorted: Vec<&FollowUp> = follow_ups.iter().collect();
    sorted.sort_unstable_by_key(|follow_up| follow_up.key);
    for follow_up in sorted {
        let parameters = vec![number(follow_up.key), due_at(follow_up).into()];
        match follow_up.key {
            FollowUpKey::DeadLetter(_) => moved.dead_letters.push(parameters),
            FollowUpKey::Message(_) if follow_up.lane.is_some() => moved.messages.push(parameters),
            FollowUpKey::Message(_) => moved.results.push(vec![number(follow_up.key)]),
        }
    }
    moved
}

fn number(key: FollowUpKey) -> Value {
    key.number().into()
}

async fn now(session: &dyn SqlSession) -> Result<Timestamp, StoreError> {
    let rows = session.query(READ, NOW, Vec::new()).await?;
    let row = rows.first().ok_or_else(|| StoreError::Corrupt {
        what: "the clock".to_owned(),
        reason: "the store did not answer".to_owned(),
    })?;
    row.time("the clock", 0)
}

/// Writes what the messages do to follow-ups: the last step of a transaction.
pub(super) async fn write(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    let message = |key: &FollowUpKey| matches!(key, FollowUpKey::Message(_)).then(|| number(*key));
    let mut finished: Vec<FollowUpKey> = facts.finished_follow_ups().to_vec();
    finished.sort_unstable();
    let finished = finished.iter().filter_map(|key| Some(vec![message(key)?]));
    session.execute_each(WRITE, DELETE, finished.collect()).await?;
    let mut postponed = facts.postponed_follow_ups().to_vec();
    postponed.sort_unstable();
    let postponed = postponed
        .iter()
        .filter_map(|(key, until)| Some(vec![message(key)?, (*until).into()]));
    session.execute_each(WRITE, POSTPONE, postponed.collect()).await?;
    let new = facts.new_follow_ups().iter().map(parameters);
    session.execute_each(WRITE, INSERT, new.collect()).await?;
    Ok(())
}

fn parameters(follow_up: &NewFollowUp) -> Vec<Value> {
    vec![
        follow_up.identity.source.as_str().into(),
        follow_up.identity.id.as_str().into(),
        follow_up.cause.source.as_str().into(),
        follow_up.cause.id.as_str().into(),
        follow_up.lane.map(Lane::as_str).into(),
        follow_up.kind.as_str().into(),
        follow_up.body.clone().into(),
        follow_up.reply.queue.as_deref().into(),
        follow_up.reply.correlation_id.as_deref().into(),
        follow_up.actor.as_deref().into(),
        follow_up.lease.as_deref().into(),
        follow_up.at.into(),
        follow_up.due_at.into(),
        follow_up.delayed.into(),
    ]
}

fn read(row: &Row) -> Result<FollowUp, StoreError> {
    let first_at = row.time("follow_up.at", 8)?;
    Ok(FollowUp {
        key: FollowUpKey::Message(row.number("follow_up.number", 0)?),
        lane: row.optional_text("follow_up.lane", 1)?,
        body: row.bytes("follow_up.body", 2)?,
        properties: MessageProperties {
            message_id: Some(row.text("follow_up.id", 4)?),
            kind: Some(row.text("follow_up.kind", 3)?),
            content_type: Some(lockstep_protocol::envelope::CONTENT_TYPE.to_owned()),
            correlation_id: row.optional_text("follow_up.correlation_id", 6)?,
            reply_to: row.optional_text("follow_up.reply_to", 5)?,
            timestamp: Some(first_at),
        },
        actor: row.optional_text("follow_up.actor", 7)?,
        first_at,
        redrive_count: 0,
        published: row.number("follow_up.published", 9)?,
    })
}

/// Under the next redrive count.
fn read_dead_letter(row: &Row) -> Result<FollowUp, StoreError> {
    let redrive_count: u32 = row.number("dead_letter.redrive_count", 6)?;
    Ok(FollowUp {
        key: FollowUpKey::DeadLetter(row.number("dead_letter.number", 0)?),
        lane: Some(row.text("dead_letter.lane", 1)?),
        body: row.bytes("dead_letter.body", 2)?,
        properties: column::json("dead_letter.properties", &row.text("dead_letter.properties", 3)?)?,
        actor: row.optional_text("dead_letter.actor", 4)?,
        first_at: row.time("dead_letter.first_at", 5)?,
        redrive_count: redrive_count + 1,
        published: row.number("dead_letter.published", 7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index_and_do_not_sort() {
        let table = [
            (
                UNPUBLISHED,
                "follow_up USING INDEX follow_up_cause (cause_source=? AND cause_id=? AND number>?)",
            ),
            (
                UNPUBLISHED_DEAD_LETTERS,
                "dead_letter USING INDEX dead_letter_request (request_source=? AND request_id=? AND number>?)",
            ),
            (OVERDUE, "follow_up USING INDEX follow_up_due (due_at<?)"),
            (
                OVERDUE_DEAD_LETTERS,
                "dead_letter USING INDEX dead_letter_due (due_at<?)",
            ),
            (CLAIM, "follow_up USING INTEGER PRIMARY KEY (rowid=?)"),
            (PUBLISHED, "follow_up USING INTEGER PRIMARY KEY (rowid=?)"),
            (DELETE, "follow_up USING INTEGER PRIMARY KEY (rowid=?)"),
        ];
        for (statement, expected) in table {
            let plan = query_plan(statement);
            assert_eq!(plan[0], format!("SEARCH {expected}"), "{statement}");
            assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:?}");
        }
    }
}
