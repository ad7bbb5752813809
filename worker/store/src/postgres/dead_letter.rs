use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::Identity;
use lockstep_protocol::topology::Lane;
use tokio_postgres::Row;

use super::PostgresStore;
use super::inbox::without_nul;
use super::microseconds::Microseconds;
use crate::{
    DeadLetter, DeadLetterCountQuery, DeadLetterGroupCount, DeadLetterQuery, DeadLetterState,
    DeadLetterSummary, DeadLetterTotals, DeadLetters, StoreError, column,
};

const OPERATION: &str = "read dead letters";

/// The length of a body is known without reading it.
macro_rules! head {
    () => {
        "number, state, settled_at, settled_by, source, id, redrive_count, lane, kind, subject, actor, code, reason, place, \
         attempts, first_at, died_at, octet_length(body)::bigint"
    };
}

macro_rules! row {
    () => {
        concat!(head!(), ", body, properties")
    };
}

/// States are literals: that is how the planner knows that a partial index fits.
macro_rules! list {
    ($state:literal) => {
        concat!(
            "SELECT ",
            head!(),
            " FROM dead_letter WHERE number < $1",
            $state,
            " AND ($2::text IS NULL OR code = $2) AND ($3::text IS NULL OR lane = $3) \
               AND ($4::text IS NULL OR kind = $4) \
             ORDER BY number DESC LIMIT $5"
        )
    };
}

const LIST: &str = list!("");
const LIST_DEAD: &str = list!(" AND state = 'dead'");
const LIST_REQUEUED: &str = list!(" AND state = 'requeued'");
const LIST_WORKED: &str = list!(" AND state = 'processed'");
const LIST_DROPPED: &str = list!(" AND state = 'dropped'");

/// Totals are made before the limit cuts.
const COUNT: &str = "\
    SELECT lane, kind, code, count(*), (sum(count(*)) OVER ())::bigint, max(max(number)) OVER () \
    FROM dead_letter WHERE state = 'dead' AND ($1::text IS NULL OR code = $1) AND ($2::text IS NULL OR lane = $2) \
        AND ($3::text IS NULL OR kind = $3) \
    GROUP BY lane, kind, code ORDER BY count(*) DESC, lane, kind, code LIMIT $4";

const SELECT: &str = concat!("SELECT ", row!(), " FROM dead_letter WHERE number = $1");

const SELECT_REQUEUED_BY: &str = concat!(
    "SELECT ",
    row!(),
    " FROM dead_letter WHERE request_source = $1 AND request_id = $2 AND number > $3 AND state = 'requeued' \
      ORDER BY number LIMIT $4"
);

const SELECT_DUE: &str = concat!(
    "SELECT ",
    row!(),
    " FROM dead_letter WHERE state = 'requeued' AND number > $1 AND settled_at < $2 ORDER BY number LIMIT $3"
);

#[async_trait]
impl DeadLetters for PostgresStore {
    async fn dead_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetterSummary>, StoreError> {
        let before = query.before.map_or(i64::MAX, bigint);
        let code = query.code.as_deref().map(without_nul);
        let lane = query.lane.map(Lane::as_str);
        let kind = query.kind.as_deref().map(without_nul);
        let limit = i64::from(query.limit);
        let rows = self
            .rows(
                OPERATION,
                list(query.state),
                &[&before, &code, &lane, &kind, &limit],
            )
            .await?;
        rows.iter().map(read_head).collect()
    }

    async fn dead_letter_totals(&self, query: &DeadLetterCountQuery) -> Result<DeadLetterTotals, StoreError> {
        let code = query.code.as_deref().map(without_nul);
        let lane = query.lane.map(Lane::as_str);
        let kind = query.kind.as_deref().map(without_nul);
        // The totals are in the rows: there must be one.
        let limit = i64::from(query.limit.max(1));
        let rows = self
            .rows(OPERATION, COUNT, &[&code, &lane, &kind, &limit])
            .await?;
        let Some(first) = rows.first() else {
            return Ok(DeadLetterTotals::default());
        };
        Ok(DeadLetterTotals {
            newest: Some(column::number("dead_letter.number", first.get(5))?),
            total: column::number("dead_letter", first.get(4))?,
            groups: rows.iter().map(read_group).collect::<Result<_, _>>()?,
        })
    }

    async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, StoreError> {
        let rows = self.rows(OPERATION, SELECT, &[&bigint(number)]).await?;
        rows.first().map(read).transpose()
    }

    async fn requeued_by(
        &self,
        request: &Identity,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let (source, id) = (request.source.as_str(), request.id.as_str());
        let (after, limit) = (bigint(after), i64::from(limit));
        let rows = self
            .rows(OPERATION, SELECT_REQUEUED_BY, &[&source, &id, &after, &limit])
            .await?;
        rows.iter().map(read).collect()
    }

    async fn due(
        &self,
        requeued_before: Timestamp,
        after: u64,
        limit: u32,
    ) -> Result<Vec<DeadLetter>, StoreError> {
        let (before, after) = (Microseconds(requeued_before), bigint(after));
        let limit = i64::from(limit);
        let rows = self
            .rows(OPERATION, SELECT_DUE, &[&after, &before, &limit])
            .await?;
        rows.iter().map(read).collect()
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
fn bigint(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read_group(row: &Row) -> Result<DeadLetterGroupCount, StoreError> {
    Ok(DeadLetterGroupCount {
        lane: row.get(0),
        kind: row.get(1),
        code: row.get(2),
        count: column::number("dead_letter", row.get(3))?,
    })
}

fn read(row: &Row) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        head: read_head(row)?,
        body: Bytes::from(row.get::<_, Vec<u8>>(18)),
        properties: column::json("dead_letter.properties", row.get(19))?,
    })
}

fn read_head(row: &Row) -> Result<DeadLetterSummary, StoreError> {
    let settled_at: Option<Microseconds> = row.get(2);
    Ok(DeadLetterSummary {
        number: column::number("dead_letter.number", row.get(0))?,
        // A closed set: the schema holds nothing else.
        state: column::word("dead_letter.state", row.get(1))?,
        settled_at: settled_at.map(|at| at.0),
        settled_by: row.get(3),
        identity: Identity {
            source: column::name("dead_letter.source", row.get(4))?,
            id: column::name("dead_letter.id", row.get(5))?,
        },
        redrive_count: column::number("dead_letter.redrive_count", i64::from(row.get::<_, i32>(6)))?,
        lane: row.get(7),
        kind: row.get(8),
        subject: row.get(9),
        actor: row.get(10),
        code: row.get(11),
        reason: row.get(12),
        place: row.get(13),
        attempts: column::number("dead_letter.attempts", i64::from(row.get::<_, i32>(14)))?,
        first_at: row.get::<_, Microseconds>(15).0,
        died_at: row.get::<_, Microseconds>(16).0,
        bytes: column::number("dead_letter.body", row.get(17))?,
    })
}
