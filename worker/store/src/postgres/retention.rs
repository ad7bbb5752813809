//! Deletes expired records, chunk by chunk.
//!
//! One pass reads each table once, in its cheapest order; each statement reads a bounded part of it:
//! - the inbox by pages of the table, because its key is not ordered by time, and an index by time would slow down every
//!   message. The BRIN index tells in advance whether any row is expired;
//! - causes and dead letters by their numbers, which increase with time.

use std::error::Error;

use async_trait::async_trait;
use bytes::BytesMut;
use jiff::Timestamp;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::PostgresStore;
use super::broad;
use super::microseconds::Microseconds;
use super::session::Session;
use crate::{Expired, OpenCauses, Records, Retention, StoreError, expiry};

const OPERATION: &str = "delete expired records";

/// Pages of the inbox in one statement: 8 MiB, about 15,000 rows.
const PAGES: u32 = 1024;
/// Devices whose open causes are read by one statement.
const DEVICES: i64 = 5000;

const ANY_OLD_INBOX: &str = "SELECT EXISTS (SELECT FROM inbox WHERE at < $1)";

const INBOX_PAGES: &str =
    "SELECT pg_relation_size(to_regclass('inbox')) / current_setting('block_size')::bigint";

/// `OFFSET 0` prevents a join: the dead letters of each row are looked up by an index, however old the statistics are.
const OLD_INBOX: &str = "\
    SELECT ctid, cause_id FROM inbox WHERE ctid >= $1 AND ctid < $2 AND at < $3 \
        AND NOT EXISTS (SELECT FROM dead_letter \
            WHERE dead_letter.source = inbox.source AND dead_letter.id = inbox.id AND coalesce(dead_letter.actor, '') = inbox.actor \
            AND dead_letter.state IN ('dead', 'requeued') OFFSET 0) \
        AND NOT EXISTS (SELECT FROM dead_letter \
            WHERE request_source = inbox.source AND request_id = inbox.id AND coalesce(settled_by, '') = inbox.actor \
            AND dead_letter.state = 'requeued' OFFSET 0) \
    LIMIT $4";

/// Moves the causes that are still open. A row that came into the place of another one is too young.
const EXPIRE_INBOX: &str = "\
    WITH gone AS (DELETE FROM inbox WHERE ctid = ANY($1) AND at < $2 \
        RETURNING cause_id, cause, source, id, kind, nullif(actor, '') AS actor, at, nullif(note, '') AS note, detail), \
    moved AS (INSERT INTO cause (id, cause, source, message_id, kind, actor, at, note, detail) SELECT * FROM gone WHERE cause_id = ANY($3)) \
    SELECT count(*) FROM gone";

/// Reads all devices for each that is closed; there are at most 31.
const OPEN_BROAD_CAUSES: &str = concat!(
    "SELECT cause_id FROM broad_cause WHERE EXISTS (SELECT FROM device WHERE ",
    broad::is_open!(),
    ")"
);

/// Also those that open broad causes have pushed off the list of the device.
const OPEN_CAUSES: &str = "\
    SELECT id, open_causes FROM device WHERE id > $1 ORDER BY id LIMIT $2";

const SELECT_CAUSES: &str = "SELECT id, at FROM cause WHERE id > $1 ORDER BY id LIMIT $2";

const DELETE_CAUSES: &str = "DELETE FROM cause WHERE id = ANY($1)";

const EXPIRE_DEAD_LETTERS: &str = "\
    WITH page AS MATERIALIZED (SELECT number FROM dead_letter WHERE number > $1 ORDER BY number LIMIT $3), \
    gone AS (DELETE FROM dead_letter USING page WHERE dead_letter.number = page.number \
        AND state IN ('processed', 'dropped') AND settled_at < $2 RETURNING dead_letter.number) \
    SELECT (SELECT count(*) FROM page), (SELECT max(number) FROM page), (SELECT count(*) FROM gone)";

const EXPIRE_DELIVERY_ATTEMPTS: &str = "\
    DELETE FROM delivery_attempt WHERE at < $1 \
        AND ctid = ANY (ARRAY(SELECT ctid FROM delivery_attempt WHERE at < $1 LIMIT $2))";

#[async_trait]
impl Retention for PostgresStore {
    async fn open_causes(&self) -> Result<OpenCauses, StoreError> {
        const OPERATION: &str = "read open causes";
        let session = self.session(OPERATION).await?;
        // These first, because they pass into the columns of devices meanwhile, and never back.
        let broad = session.rows_for(OPERATION, OPEN_BROAD_CAUSES, &[]).await?;
        let mut causes: Vec<i64> = broad.iter().map(|row| row.get(0)).collect();
        let mut after = 0_i64;
        loop {
            let select = async {
                let select = session.prepare_cached(OPEN_CAUSES).await?;
                session.query(&select, &[&after, &DEVICES]).await
            };
            let devices = session.answer(OPERATION, select).await?;
            for device in &devices {
                after = device.get(0);
                causes.extend(device.get::<_, Vec<i64>>(1));
            }
            if devices.is_empty() {
                break;
            }
        }
        session.give_back();
        Ok(OpenCauses::new(causes))
    }

    async fn expire(
        &self,
        records: &Records,
        before: Timestamp,
        from: u64,
        limit: u32,
    ) -> Result<Expired, StoreError> {
        if let Some(expired) = expiry::expire(self, records, before, from, limit).await? {
            return Ok(expired);
        }
        let session = self.session(OPERATION).await?;
        let before = Microseconds(before);
        let expire = async {
            match records {
                Records::Inbox(open) => inbox(&session, open, before, from, limit).await,
                Records::Causes(open) => causes(&session, open, before, from, limit).await,
                Records::DeadLetters => dead_letters(&session, before, from, limit).await,
                Records::DeliveryAttempts => delivery_attempts(&session, before, limit).await,
                Records::Executions
                | Records::FormerHostnames
                | Records::RemovedLinks
                | Records::RemovedManagementDomains
                | Records::DeviceHistory
                | Records::SyncTexts
                | Records::LoginSessions
                | Records::Audit
                | Records::FleetSamples(_) => unreachable!("deleted above"),
            }
        };
        let expired = session.answer(OPERATION, expire).await?;
        session.give_back();
        Ok(expired)
    }
}

type DeleteResult = Result<Expired, tokio_postgres::Error>;

async fn inbox(
    session: &Session,
    open: &OpenCauses,
    before: Microseconds,
    from: u64,
    limit: u32,
) -> DeleteResult {
    if from == 0 {
        let any = session.prepare_cached(ANY_OLD_INBOX).await?;
        if !session.query_one(&any, &[&before]).await?.get::<_, bool>(0) {
            return Ok(Expired {
                deleted: 0,
                next: None,
            });
        }
    }
    let pages = session.prepare_cached(INBOX_PAGES).await?;
    let pages: i64 = session.query_one(&pages, &[]).await?.get(0);
    let first = u32::try_from(from).unwrap_or(u32::MAX);
    let end = first.saturating_add(PAGES);
    let select = session.prepare_cached(OLD_INBOX).await?;
    let parameters: [&(dyn ToSql + Sync); 4] = [
        &RowPlace::start_of(first),
        &RowPlace::start_of(end),
        &before,
        &i64::from(limit),
    ];
    let old = session.query(&select, &parameters).await?;
    let mut deleted = 0;
    if !old.is_empty() {
        let places: Vec<RowPlace> = old.iter().map(|row| row.get(0)).collect();
        let causes = old.iter().filter_map(|row| row.get::<_, Option<i64>>(1));
        let causes: Vec<i64> = causes.filter(|id| open.contains(*id)).collect();
        let expire = session.prepare_cached(EXPIRE_INBOX).await?;
        let parameters: [&(dyn ToSql + Sync); 3] = [&places, &before, &causes];
        deleted = unsigned(session.query_one(&expire, &parameters).await?.get(0));
    }
    let next = if old.len() == limit as usize { first } else { end };
    Ok(Expired {
        deleted,
        next: (i64::from(next) < pages).then_some(u64::from(next)),
    })
}

async fn causes(
    session: &Session,
    open: &OpenCauses,
    before: Microseconds,
    from: u64,
    limit: u32,
) -> DeleteResult {
    let select = session.prepare_cached(SELECT_CAUSES).await?;
    let page = session
        .query(&select, &[&signed(from), &i64::from(limit)])
        .await?;
    let old: Vec<i64> = page
        .iter()
        .filter(|row| row.get::<_, Microseconds>(1).0 < before.0)
        .map(|row| row.get(0))
        .collect();
    // Workers reserve the ids of causes in blocks, so causes are only nearly ordered by time. A few expired ones behind a whole
    // page of newer ones wait for a later pass.
    let ends = page.len() < limit as usize || old.is_empty();
    let last = page.last().filter(|_| !ends).map(|row| row.get::<_, i64>(0));
    let closed: Vec<i64> = old.into_iter().filter(|id| !open.contains(*id)).collect();
    let mut deleted = 0;
    if !closed.is_empty() {
        let delete = session.prepare_cached(DELETE_CAUSES).await?;
        deleted = session.execute(&delete, &[&closed]).await?;
    }
    Ok(Expired {
        deleted,
        next: last.map(unsigned),
    })
}

async fn dead_letters(session: &Session, before: Microseconds, from: u64, limit: u32) -> DeleteResult {
    let expire = session.prepare_cached(EXPIRE_DEAD_LETTERS).await?;
    let row = session
        .query_one(&expire, &[&signed(from), &before, &i64::from(limit)])
        .await?;
    let (seen, last): (i64, Option<i64>) = (row.get(0), row.get(1));
    Ok(Expired {
        deleted: unsigned(row.get(2)),
        next: last.filter(|_| seen == i64::from(limit)).map(unsigned),
    })
}

async fn delivery_attempts(session: &Session, before: Microseconds, limit: u32) -> DeleteResult {
    let expire = session.prepare_cached(EXPIRE_DELIVERY_ATTEMPTS).await?;
    let deleted = session.execute(&expire, &[&before, &i64::from(limit)]).await?;
    Ok(Expired {
        deleted,
        next: (deleted == u64::from(limit)).then_some(0),
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The place of a row in its table, as `ctid` has it.
#[derive(Clone, Copy, Debug)]
struct RowPlace {
    page: u32,
    row: u16,
}

impl RowPlace {
    fn start_of(page: u32) -> Self {
        Self { page, row: 0 }
    }
}

impl ToSql for RowPlace {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.page.to_be_bytes());
        out.extend_from_slice(&self.row.to_be_bytes());
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TID
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for RowPlace {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let (page, row) = raw.split_at_checked(4).ok_or("no page")?;
        Ok(Self {
            page: u32::from_be_bytes(page.try_into()?),
            row: u16::from_be_bytes(row.try_into()?),
        })
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TID
    }
}
