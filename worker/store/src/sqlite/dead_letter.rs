use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::Identity;
use lockstep_protocol::topology::Lane;
use rusqlite::{Connection, OptionalExtension, Params, Row, params};

use super::SqliteStore;
use super::error::Failure;
use crate::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterState,
    DeadLetterSummary, DeadLetterTotals, DeadLetters, StoreError, column,
};

/// The length of a body is known without reading it.
macro_rules! head {
    () => {
        "number, state, settled_at, settled_by, source, id, redrive_count, lane, kind, subject, actor, code, reason, place, \
         attempts, first_at, died_at, length(body)"
    };
}

macro_rules! row {
    () => {
        concat!(head!(), ", body, properties")
    };
}

/// The partial indexes are named: the planner would go through all numbers, of which nearly all may be settled.
macro_rules! list {
    ($state:literal) => {
        concat!(
            "SELECT ",
            head!(),
            " FROM dead_letter ",
            $state,
            " number < ?1 AND (?2 IS NULL OR code = ?2) AND (?3 IS NULL OR lane = ?3) AND (?4 IS NULL OR kind = ?4) \
             ORDER BY number DESC LIMIT ?5"
        )
    };
}

const LIST: &str = list!("WHERE");
const LIST_DEAD: &str = list!("INDEXED BY dead_letter_dead WHERE state = 'dead' AND");
const LIST_REQUEUED: &str = list!("INDEXED BY dead_letter_requeued WHERE state = 'requeued' AND");
const LIST_WORKED: &str = list!("WHERE state = 'processed' AND");
const LIST_DROPPED: &str = list!("WHERE state = 'dropped' AND");

/// Totals are made before the limit cuts.
const COUNT: &str = "\
    SELECT lane, kind, code, count(*), sum(count(*)) OVER (), max(max(number)) OVER () \
    FROM dead_letter INDEXED BY dead_letter_dead \
    WHERE state = 'dead' AND (?1 IS NULL OR code = ?1) AND (?2 IS NULL OR lane = ?2) AND (?3 IS NULL OR kind = ?3) \
    GROUP BY lane, kind, code ORDER BY count(*) DESC, lane, kind, code LIMIT ?4";

const SELECT: &str = concat!("SELECT ", row!(), " FROM dead_letter WHERE number = ?1");

const SELECT_REQUEUED_BY: &str = concat!(
    "SELECT ",
    row!(),
    " FROM dead_letter INDEXED BY dead_letter_request \
      WHERE request_source = ?1 AND request_id = ?2 AND number > ?3 AND state = 'requeued' ORDER BY number LIMIT ?4"
);

const SELECT_DUE: &str = concat!(
    "SELECT ",
    row!(),
    " FROM dead_letter INDEXED BY dead_letter_requeued \
      WHERE state = 'requeued' AND number > ?1 AND settled_at < ?2 ORDER BY number LIMIT ?3"
);

#[async_trait]
impl DeadLetters for SqliteStore {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let query = query.clone();
        self.read(move |connection| {
            let before = query.before.map_or(i64::MAX, integer);
            let lane = query.lane.map(Lane::as_str);
            let parameters = params![before, query.code, lane, query.kind, query.limit];
            all(connection, list(query.state), parameters, read_head)
        })
        .await
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        let query = query.clone();
        self.read(move |connection| count(connection, &query)).await
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        self.read(move |connection| {
            let mut select = connection.prepare_cached(SELECT)?;
            let found = select
                .query_row([integer(number)], |row| Ok(read(row)))
                .optional()?;
            found.transpose()
        })
        .await
    }

    async fn requeued_by(
        &self,
        request: &Identity,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let request = request.clone();
        self.read(move |connection| {
            let (source, id) = (request.source.as_str(), request.id.as_str());
            let parameters = params![source, id, integer(after), limit];
            all(connection, SELECT_REQUEUED_BY, parameters, read)
        })
        .await
    }

    async fn due(
        &self,
        requeued_before: Timestamp,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        self.read(move |connection| {
            let before = column::microseconds(requeued_before);
            all(
                connection,
                SELECT_DUE,
                params![integer(after), before, limit],
                read,
            )
        })
        .await
    }
}

const fn list(state: Option<DeadLetterState>) -> &'static str {
    match state {
        None => LIST,
        Some(DeadLetterState::Dead) => LIST_DEAD,
        Some(DeadLetterState::Requeued) => LIST_REQUEUED,
        Some(DeadLetterState::Processed) => LIST_WORKED,
        Some(DeadLetterState::Dropped) => LIST_DROPPED,
    }
}

/// No dead letter has a number beyond what the column can hold.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn all<T>(
    connection: &Connection,
    statement: &str,
    parameters: impl Params,
    read: impl Fn(&Row<'_>) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut select = connection.prepare_cached(statement)?;
    let mut rows = select.query(parameters)?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        all.push(read(row)?);
    }
    Ok(all)
}

fn count(connection: &Connection, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, Failure> {
    // The totals are in the rows: there must be one.
    let limit = query.limit.max(1);
    let parameters = params![query.code, query.lane.map(Lane::as_str), query.kind, limit];
    let mut select = connection.prepare_cached(COUNT)?;
    let mut rows = select.query(parameters)?;
    let mut counts = DeadLetterTotals::default();
    while let Some(row) = rows.next()? {
        counts.total = column::number("dead_letter", row.get(4)?)?;
        counts.newest = Some(column::number("dead_letter.number", row.get(5)?)?);
        counts.groups.push(DeadLetterGroupCount {
            lane: row.get(0)?,
            kind: row.get(1)?,
            code: row.get(2)?,
            count: column::number("dead_letter", row.get(3)?)?,
        });
    }
    Ok(counts)
}

fn read(row: &Row<'_>) -> Result<DeadLetter, Failure> {
    Ok(DeadLetter {
        head: read_head(row)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(18)?),
        properties: column::json("dead_letter.properties", &row.get::<_, String>(19)?)?,
    })
}

fn read_head(row: &Row<'_>) -> Result<DeadLetterSummary, Failure> {
    let settled_at: Option<i64> = row.get(2)?;
    let settled_at = settled_at.map(|at| column::read_microseconds("dead_letter.settled_at", at));
    Ok(DeadLetterSummary {
        number: column::number("dead_letter.number", row.get(0)?)?,
        // A closed set: the schema holds nothing else.
        state: column::word("dead_letter.state", &row.get::<_, String>(1)?)?,
        settled_at: settled_at.transpose()?,
        settled_by: row.get(3)?,
        identity: Identity {
            source: column::name("dead_letter.source", row.get(4)?)?,
            id: column::name("dead_letter.id", row.get(5)?)?,
        },
        redrive_count: column::number("dead_letter.redrive_count", row.get(6)?)?,
        lane: row.get(7)?,
        kind: row.get(8)?,
        subject: row.get(9)?,
        actor: row.get(10)?,
        code: row.get(11)?,
        reason: row.get(12)?,
        place: row.get(13)?,
        attempts: column::number("dead_letter.attempts", row.get(14)?)?,
        first_at: column::read_microseconds("dead_letter.first_at", row.get(15)?)?,
        died_at: column::read_microseconds("dead_letter.died_at", row.get(16)?)?,
        bytes: column::number("dead_letter.body", row.get(17)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A thousand settled dead letters for one that is not.
    fn full() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for migration in [
            include_str!("../migrations/sqlite/V1__fleet_and_inbox.sql"),
            include_str!("../migrations/sqlite/V3__dead_letters.sql"),
        ] {
            connection.execute_batch(migration).unwrap();
        }
        connection
            .execute_batch(
                "INSERT INTO dead_letter (source, id, redrive_count, lane, kind, code, reason, attempts, first_at, died_at, body, \
                    properties, state, settled_at, request_source, request_id) \
                 WITH RECURSIVE counter (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter WHERE n < 100000) \
                 SELECT 'urn:test', n, 0, 'events', 'lockstep.x', 'crashed', '', 1, 0, 0, x'', '{}', \
                    CASE n % 1000 WHEN 0 THEN 'dead' WHEN 1 THEN 'requeued' ELSE 'processed' END, n, 'urn:cli', n / 10 \
                 FROM counter; ANALYZE",
            )
            .unwrap();
        connection
    }

    #[test]
    fn every_query_goes_by_an_index_and_sorts_nothing() {
        let connection = full();
        let table = [
            (LIST, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (LIST_DEAD, "USING INDEX dead_letter_dead (number<?)"),
            (LIST_REQUEUED, "USING INDEX dead_letter_requeued (number<?)"),
            (LIST_WORKED, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (LIST_DROPPED, "USING INTEGER PRIMARY KEY (rowid<?)"),
            (SELECT, "USING INTEGER PRIMARY KEY (rowid=?)"),
            (
                SELECT_REQUEUED_BY,
                "USING INDEX dead_letter_request (request_source=? AND request_id=? AND number>?)",
            ),
            (SELECT_DUE, "USING INDEX dead_letter_requeued (number>?)"),
        ];
        for (statement, expected) in table {
            let expected = format!("SEARCH dead_letter {expected}");
            assert_eq!(plan(&connection, statement), [expected], "{statement}");
        }
        let counts = plan(&connection, COUNT);
        assert!(
            counts.contains(&"SCAN dead_letter USING INDEX dead_letter_dead".to_owned()),
            "{counts:?}"
        );
    }

    fn plan(connection: &Connection, statement: &str) -> Vec<String> {
        let mut explain = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {statement}"))
            .unwrap();
        let mut rows = explain.raw_query();
        let mut plan = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            plan.push(row.get(3).unwrap());
        }
        plan
    }
}
