//! Reads and writes the table of dead letters, on both databases.

use async_trait::async_trait;
use lockstep_protocol::commands::{DeadLetterSelection, MAX_DEAD_LETTERS};
use lockstep_protocol::results::DeadLetterAction;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Code, Identity};

use super::sql::{Row, SqlDatabase, SqlSession, Value};
use super::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterSelector,
    DeadLetterSummary, DeadLetterTotals, DeadLetters, Facts, FollowUpKey, Keys, NewDeadLetter, StoreError,
    UNPUBLISHED_GRACE, column,
};

const READ: &str = "read dead letters";
const WRITE: &str = "write dead letters";

/// The database computes the length of a body without reading it.
macro_rules! summary {
    () => {
        "number, state, settled_at, settled_by, source, id, redrive_count, lane, kind, subject, actor, code, reason, place, \
         attempts, first_at, dead_lettered_at, CAST(octet_length(body) AS bigint)"
    };
}

pub(crate) use summary;

macro_rules! filters {
    () => {
        " FROM dead_letter WHERE number < $1 \
            AND (CAST($2 AS text) IS NULL OR code = $2) AND (CAST($3 AS text) IS NULL OR lane = $3) \
            AND (CAST($4 AS text) IS NULL OR kind = $4)"
    };
}

macro_rules! list {
    ($state:literal) => {
        concat!(
            "SELECT ",
            summary!(),
            filters!(),
            $state,
            " ORDER BY number DESC LIMIT $5"
        )
    };
}

const LIST: &str = list!("");
/// Separate from [`LIST`], so that both databases walk the index by state and number.
const LIST_IN_STATE: &str = list!(" AND state = $6");

const COUNT_ALL: &str = concat!("SELECT count(*)", filters!());
const COUNT_IN_STATE: &str = concat!("SELECT count(*)", filters!(), " AND state = $5");

/// The window functions compute the totals before the limit applies.
const COUNT: &str = "\
    SELECT lane, kind, code, count(*), CAST(sum(count(*)) OVER () AS bigint), max(max(number)) OVER () \
    FROM dead_letter WHERE state = 'dead' \
        AND (CAST($1 AS text) IS NULL OR code = $1) AND (CAST($2 AS text) IS NULL OR lane = $2) \
        AND (CAST($3 AS text) IS NULL OR kind = $3) \
    GROUP BY lane, kind, code ORDER BY count(*) DESC, lane, kind, code LIMIT $4";

const SELECT: &str = concat!(
    "SELECT ",
    summary!(),
    ", body, properties FROM dead_letter WHERE number = $1"
);

const LOCK: &str = "SELECT state, code FROM dead_letter WHERE number = $1 FOR UPDATE";

/// One more than a command settles, to find out whether there are more.
const LOCK_MATCHING: &str = "\
    SELECT number FROM dead_letter WHERE state = 'dead' AND number <= $1 \
        AND (CAST($2 AS text) IS NULL OR code = $2) AND (CAST($3 AS text) IS NULL OR lane = $3) \
        AND (CAST($4 AS text) IS NULL OR kind = $4) AND (CAST($6 AS text) IS NULL OR code NOT IN ($6, $7)) \
    ORDER BY number LIMIT $5 FOR UPDATE";

/// An existing row is equal, so it stays.
const INSERT: &str = "\
    INSERT INTO dead_letter (source, id, redrive_count, lane, kind, subject, actor, code, reason, place, attempts, \
        first_at, dead_lettered_at, body, properties, state) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 'dead') \
    ON CONFLICT (source, id, redrive_count, (coalesce(actor, ''))) DO NOTHING";

const PROCESSED: &str =
    "UPDATE dead_letter SET state = 'processed', due_at = NULL WHERE number = $1 AND state = 'requeued'";

const POSTPONE: &str = "UPDATE dead_letter SET due_at = $2 WHERE number = $1 AND state = 'requeued'";

const SETTLE: &str = "\
    UPDATE dead_letter SET state = $2, settled_at = $3, settled_by = $4, request_source = $5, request_id = $6, due_at = $7 \
    WHERE number = $1 AND state = 'dead'";

#[async_trait]
impl<D: SqlDatabase> DeadLetters for D {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let mut parameters = vec![
            query.before.unwrap_or(u64::MAX).into(),
            query.code.as_deref().into(),
            query.lane.map(Lane::as_str).into(),
            query.kind.as_deref().into(),
            query.limit.into(),
        ];
        let statement = match query.state {
            None => LIST,
            Some(state) => {
                parameters.push(state.as_str().into());
                LIST_IN_STATE
            }
        };
        let rows = self.read(READ, statement, parameters).await?;
        rows.iter().map(read_summary).collect()
    }

    async fn count_dead_letters(&self, query: &DeadLetterQuery) -> Result<u64, StoreError> {
        let mut parameters = vec![
            u64::MAX.into(),
            query.code.as_deref().into(),
            query.lane.map(Lane::as_str).into(),
            query.kind.as_deref().into(),
        ];
        let statement = match query.state {
            None => COUNT_ALL,
            Some(state) => {
                parameters.push(state.as_str().into());
                COUNT_IN_STATE
            }
        };
        let rows = self.read(READ, statement, parameters).await?;
        rows.first().map_or(Ok(0), |row| row.number("dead_letter", 0))
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        let parameters = vec![
            query.code.as_deref().into(),
            query.lane.map(Lane::as_str).into(),
            query.kind.as_deref().into(),
            // The totals are columns of the rows, so at least one row is needed.
            query.limit.max(1).into(),
        ];
        let rows = self.read(READ, COUNT, parameters).await?;
        let Some(first) = rows.first() else {
            return Ok(DeadLetterTotals::default());
        };
        Ok(DeadLetterTotals {
            newest: Some(first.number("dead_letter.number", 5)?),
            total: first.number("dead_letter", 4)?,
            groups: rows.iter().map(read_group).collect::<Result<_, _>>()?,
        })
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        let rows = self.read(READ, SELECT, vec![number.into()]).await?;
        rows.first().map(read).transpose()
    }
}

/// Locks the dead letters that the keys name, and adds them to the facts.
pub(super) async fn read_facts(
    session: &dyn SqlSession,
    keys: &Keys,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    for selector in &keys.dead_letters {
        match selector {
            DeadLetterSelector::One(number) => {
                let rows = session.query(READ, LOCK, vec![(*number).into()]).await?;
                if let Some(row) = rows.first() {
                    let state = column::word("dead_letter.state", &row.text("dead_letter.state", 0)?)?;
                    facts.add_dead_letter(*number, state);
                    let code = row.text("dead_letter.code", 1)?;
                    if let Some(code) = Code::FINAL.into_iter().find(|known| known.as_str() == code) {
                        facts.add_final_dead_letter(*number, code);
                    }
                }
            }
            DeadLetterSelector::Matching(selection) => {
                let numbers = lock_matching(session, selection, false).await?;
                facts.add_matching_dead_letters(selector.clone(), numbers);
            }
            DeadLetterSelector::Requeueable(selection) => {
                let numbers = lock_matching(session, selection, true).await?;
                facts.add_matching_dead_letters(selector.clone(), numbers);
            }
        }
    }
    Ok(())
}

async fn lock_matching(
    session: &dyn SqlSession,
    selection: &DeadLetterSelection,
    requeueable: bool,
) -> Result<Vec<u64>, StoreError> {
    let [first, second] = Code::FINAL.map(|code| requeueable.then_some(code.as_str()));
    let parameters = vec![
        selection.up_to.into(),
        selection.code.map(Code::as_str).into(),
        selection.lane.map(Lane::as_str).into(),
        selection.message_type.as_deref().into(),
        (MAX_DEAD_LETTERS + 1).into(),
        first.into(),
        second.into(),
    ];
    let rows = session.query(READ, LOCK_MATCHING, parameters).await?;
    rows.iter()
        .map(|row| row.number("dead_letter.number", 0))
        .collect()
}

/// Writes the changes of dead letters, each kind of write in the order of its keys.
pub(super) async fn write(session: &dyn SqlSession, facts: &Facts) -> Result<(), StoreError> {
    for settled in facts.settled_dead_letters() {
        let requeued = settled.action == DeadLetterAction::Requeued;
        let due_at = requeued.then(|| settled.at + UNPUBLISHED_GRACE);
        let sets = settled.numbers.iter().map(|number| {
            vec![
                (*number).into(),
                column::dead_letter_state(settled.action).into(),
                settled.at.into(),
                settled.by.as_deref().into(),
                settled.request.source.as_str().into(),
                settled.request.id.as_str().into(),
                due_at.into(),
            ]
        });
        session.execute_each(WRITE, SETTLE, sets.collect()).await?;
    }
    let mut processed: Vec<u64> = facts.finished_follow_ups().iter().filter_map(number).collect();
    processed.sort_unstable();
    let processed = processed.into_iter().map(|number| vec![number.into()]);
    session
        .execute_each(WRITE, PROCESSED, processed.collect())
        .await?;
    let postponed = facts.postponed_follow_ups().iter();
    let postponed = postponed.filter_map(|(key, until)| Some(vec![number(key)?.into(), (*until).into()]));
    session.execute_each(WRITE, POSTPONE, postponed.collect()).await?;
    let mut new: Vec<&NewDeadLetter> = facts.new_dead_letters().iter().collect();
    new.sort_unstable_by_key(|dead_letter| {
        (
            &dead_letter.identity,
            dead_letter.redrive_count,
            &dead_letter.actor,
        )
    });
    let new = new.into_iter().map(parameters);
    session.execute_each(WRITE, INSERT, new.collect()).await?;
    Ok(())
}

fn number(key: &FollowUpKey) -> Option<u64> {
    match key {
        FollowUpKey::DeadLetter(number) => Some(*number),
        FollowUpKey::Message(_) => None,
    }
}

fn parameters(dead_letter: &NewDeadLetter) -> Vec<Value> {
    vec![
        dead_letter.identity.source.as_str().into(),
        dead_letter.identity.id.as_str().into(),
        dead_letter.redrive_count.into(),
        dead_letter.lane.as_str().into(),
        dead_letter.kind.as_str().into(),
        dead_letter.subject.as_deref().into(),
        dead_letter.actor.as_deref().into(),
        dead_letter.code.as_str().into(),
        dead_letter.reason.as_str().into(),
        dead_letter.place.as_deref().into(),
        dead_letter.attempts.into(),
        dead_letter.first_at.into(),
        dead_letter.dead_lettered_at.into(),
        dead_letter.body.clone().into(),
        column::dead_letter_properties(&dead_letter.properties).into(),
    ]
}

fn read_group(row: &Row) -> Result<DeadLetterGroupCount, StoreError> {
    Ok(DeadLetterGroupCount {
        lane: row.text("dead_letter.lane", 0)?,
        kind: row.text("dead_letter.kind", 1)?,
        code: row.text("dead_letter.code", 2)?,
        count: row.number("dead_letter", 3)?,
    })
}

fn read(row: &Row) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        head: read_summary(row)?,
        body: row.bytes("dead_letter.body", 18)?,
        properties: column::json("dead_letter.properties", &row.text("dead_letter.properties", 19)?)?,
    })
}

pub(crate) fn read_summary(row: &Row) -> Result<DeadLetterSummary, StoreError> {
    Ok(DeadLetterSummary {
        number: row.number("dead_letter.number", 0)?,
        // The schema allows no other state.
        state: column::word("dead_letter.state", &row.text("dead_letter.state", 1)?)?,
        settled_at: row.optional_time("dead_letter.settled_at", 2)?,
        settled_by: row.optional_text("dead_letter.settled_by", 3)?,
        identity: Identity {
            source: column::name("dead_letter.source", row.text("dead_letter.source", 4)?)?,
            id: column::name("dead_letter.id", row.text("dead_letter.id", 5)?)?,
        },
        redrive_count: row.number("dead_letter.redrive_count", 6)?,
        lane: row.text("dead_letter.lane", 7)?,
        kind: row.text("dead_letter.kind", 8)?,
        subject: row.optional_text("dead_letter.subject", 9)?,
        actor: row.optional_text("dead_letter.actor", 10)?,
        code: row.text("dead_letter.code", 11)?,
        reason: row.text("dead_letter.reason", 12)?,
        place: row.optional_text("dead_letter.place", 13)?,
        attempts: row.number("dead_letter.attempts", 14)?,
        first_at: row.time("dead_letter.first_at", 15)?,
        dead_lettered_at: row.time("dead_letter.dead_lettered_at", 16)?,
        bytes: row.number("dead_letter.body", 17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::sql::query_plan;

    #[test]
    fn statements_use_an_index_and_do_not_sort() {
        let by_number = "USING INTEGER PRIMARY KEY (rowid=?)";
        let table = [
            (LIST, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (
                LIST_IN_STATE,
                "USING INDEX dead_letter_state (state=? AND number<?)",
            ),
            (COUNT_ALL, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (
                COUNT_IN_STATE,
                "USING INDEX dead_letter_state (state=? AND number<?)",
            ),
            (SELECT, by_number),
            (LOCK, by_number),
            (
                LOCK_MATCHING,
                "USING INDEX dead_letter_state (state=? AND number<?)",
            ),
            (PROCESSED, by_number),
            (POSTPONE, by_number),
            (SETTLE, by_number),
        ];
        for (statement, expected) in table {
            let expected = format!("SEARCH dead_letter {expected}");
            assert_eq!(query_plan(statement), [expected], "{statement}");
        }
        let counts = query_plan(COUNT);
        let search = "SEARCH dead_letter USING INDEX dead_letter_state (state=?)";
        assert!(counts.iter().any(|line| line == search), "{counts:?}");
    }
}
