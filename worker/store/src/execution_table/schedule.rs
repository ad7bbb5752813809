use jiff::Timestamp;
use lockstep_protocol::commands::TaskRequested;

use super::{READ, WRITE, execute};
use crate::error_class::ErrorClass;
use crate::sql::{Row, SqlSession, Value};
use crate::{NewSchedule, SavedRow, ScheduleRow, StoreError, column};

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT number, name, cron, time_zone, request, enabled, next_at, last_at, saved_at, saved_by FROM schedule WHERE ",
            $condition
        )
    };
}

pub(super) const LIST: &str = select!("name > $1 ORDER BY name LIMIT $2");
const LOCK: &str = select!("name = $1 FOR UPDATE");
const DUE: &str = select!("next_at <= $1 ORDER BY next_at, number LIMIT $2 FOR UPDATE SKIP LOCKED");

const INSERT: &str = "\
    INSERT INTO schedule (name, cron, time_zone, request, enabled, next_at, saved_at, saved_by) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
    ON CONFLICT (name) DO NOTHING RETURNING number";

const UPDATE: &str = "\
    UPDATE schedule SET cron = $2, time_zone = $3, request = $4, enabled = $5, next_at = $6, saved_at = $7, saved_by = $8 \
    WHERE name = $1";

const ADVANCE: &str = "UPDATE schedule SET last_at = coalesce($2, last_at), next_at = $3 WHERE number = $1";

const DELETE: &str = "DELETE FROM schedule WHERE name = $1";

pub(super) async fn save(session: &dyn SqlSession, schedule: &NewSchedule) -> Result<SavedRow, StoreError> {
    let found = session
        .query(READ, LOCK, vec![schedule.name.as_str().into()])
        .await?;
    let Some(found) = found.first().map(read).transpose()? else {
        let inserted = session.query(WRITE, INSERT, parameters(schedule)).await?;
        let Some(row) = inserted.first() else {
            return Err(ErrorClass::Conflict.error(WRITE, "another transaction saved it first"));
        };
        return Ok(SavedRow {
            number: row.number("schedule.number", 0)?,
            created: true,
            changed: true,
        });
    };
    let changed = found.cron != schedule.cron
        || found.time_zone != schedule.time_zone
        || found.request != schedule.request
        || found.enabled != schedule.enabled;
    if changed {
        execute(session, UPDATE, parameters(schedule)).await?;
    }
    Ok(SavedRow {
        number: found.number,
        created: false,
        changed,
    })
}

pub(super) async fn delete(session: &dyn SqlSession, name: &str) -> Result<bool, StoreError> {
    Ok(execute(session, DELETE, vec![name.into()]).await? > 0)
}

pub(super) async fn due(
    session: &dyn SqlSession,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<ScheduleRow>, StoreError> {
    let rows = session.query(READ, DUE, vec![now.into(), limit.into()]).await?;
    rows.iter().map(read).collect()
}

pub(super) async fn advance(
    session: &dyn SqlSession,
    number: u64,
    last_at: Option<Timestamp>,
    next_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    execute(
        session,
        ADVANCE,
        vec![number.into(), last_at.into(), next_at.into()],
    )
    .await?;
    Ok(())
}

/// Only an active schedule has a next time.
fn parameters(schedule: &NewSchedule) -> Vec<Value> {
    vec![
        schedule.name.as_str().into(),
        schedule.cron.as_str().into(),
        schedule.time_zone.as_str().into(),
        request(&schedule.request).into(),
        schedule.enabled.into(),
        schedule.next_at.filter(|_| schedule.enabled).into(),
        schedule.at.into(),
        schedule.by.as_deref().into(),
    ]
}

fn request(request: &TaskRequested) -> String {
    serde_json::to_string(request).expect("bodies of commands have string keys and no failing serializers")
}

pub(super) fn read(row: &Row) -> Result<ScheduleRow, StoreError> {
    Ok(ScheduleRow {
        number: row.number("schedule.number", 0)?,
        name: row.text("schedule.name", 1)?,
        cron: row.text("schedule.cron", 2)?,
        time_zone: row.text("schedule.time_zone", 3)?,
        request: column::json("schedule.request", &row.text("schedule.request", 4)?)?,
        enabled: row.boolean("schedule.enabled", 5)?,
        next_at: row.optional_time("schedule.next_at", 6)?,
        last_at: row.optional_time("schedule.last_at", 7)?,
        saved_at: row.time("schedule.saved_at", 8)?,
        saved_by: row.optional_text("schedule.saved_by", 9)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LIST, LOCK, DUE, INSERT, UPDATE, ADVANCE, DELETE];
