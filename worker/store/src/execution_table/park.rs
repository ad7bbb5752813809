//! Elements that their provider cannot run now: they wait for a time, or for the end of an execution, without a lease and without a place.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::finish::{Ended, read};
use super::{READ, WRITE, milliseconds, numbers, read_queued};
use crate::sql::{Row, SqlSession, rows};
use crate::{CapScope, ElementEnd, ElementOwner, EndedElement, JsonText, Parking, QueuedElement, StoreError};

/// The attempts so far do not count as attempts at the stage, because none of them crashed. An element that is parked again keeps the time at
/// which it expires, or one that is parked at each try would wait for ever.
const PARK: &str = "\
    UPDATE element SET state = 'PENDING', until = NULL, waits_for = $5, resume_at = $2, \
        expires_at = coalesce(element.expires_at, $3), \
        earlier_attempts = element.attempts, reason = parked.reason, message = parked.message, data = parked.data \
    FROM {rows $1: number bigint, attempt integer, reason text, message text, data text} AS parked \
    WHERE element.number = parked.number AND element.attempts = parked.attempt AND element.state || '' = 'RUNNING' \
        AND (CAST($4 AS text) IS NULL OR element.owner = $4) \
    RETURNING element.number, element.execution, element.state, element.device_id, element.attempts, element.hostname, element.owner, \
        element.fence, element.other_leases";

const RESUME: &str = "\
    UPDATE element SET waits_for = NULL, resume_at = NULL, reason = NULL, message = NULL, due_at = {after $2}, repeats = 0 \
    WHERE number IN (SELECT number FROM element WHERE resume_at <= (SELECT {now}) AND expires_at > {now} AND NOT EXISTS (SELECT 1 \
            FROM execution WHERE execution.number = element.execution AND (execution.paused OR execution.halt IS NOT NULL)) \
        ORDER BY resume_at, number LIMIT $1 FOR UPDATE SKIP LOCKED) \
    RETURNING number, lane";

const EXPIRED: &str = "\
    SELECT number FROM element WHERE resume_at IS NOT NULL AND expires_at <= {now} ORDER BY resume_at, number LIMIT $1";

/// Their ends are due for announcement at once.
const SKIP: &str = "\
    UPDATE element SET state = 'FILTERED', outcome = 'skipped', ended_at = {now}, due_at = {now}, waits_for = NULL, resume_at = NULL, \
        expires_at = NULL, message = 'it was parked until its time was over: ' || coalesce(message, 'no reason was given') \
    WHERE number IN (SELECT number FROM element WHERE number IN (SELECT number FROM {rows $1: number bigint} AS listed) \
            AND resume_at IS NOT NULL AND expires_at <= {now} ORDER BY number FOR UPDATE) \
    RETURNING number, execution";

/// Parks running elements, one statement for each pair of times, and for each execution.
pub(super) async fn park(
    session: &dyn SqlSession,
    ends: &[(&ElementEnd, Parking)],
    owner: Option<ElementOwner>,
) -> Result<Vec<Ended>, StoreError> {
    let mut by_parking: BTreeMap<Parking, Vec<&ElementEnd>> = BTreeMap::new();
    for (end, parked) in ends {
        by_parking.entry(*parked).or_default().push(end);
    }
    let mut parked = Vec::new();
    for (parking, ends) in by_parking {
        let (waits_for, times) = match parking {
            Parking::Until(times) => (CapScope::Parked, Some(times)),
            Parking::Ended(execution) => (CapScope::Ended(execution), None),
        };
        let listed = ends.iter().map(|end| {
            vec![
                end.number.into(),
                end.attempt.into(),
                end.reason.as_deref().into(),
                end.message.as_deref().into(),
                // What an element came to before a time is not kept.
                Some(&end.data)
                    .filter(|data| times.is_none() && !data.is_null())
                    .map(JsonText::as_str)
                    .into(),
            ]
        });
        let parameters = vec![
            rows(listed),
            times.map(|times| times.resume_at).into(),
            times.map(|times| times.expires_at).into(),
            owner.map(|owner| owner.0.to_string()).into(),
            waits_for.to_string().into(),
        ];
        for row in session.query(WRITE, PARK, parameters).await? {
            let mut element = read(&row)?;
            element.parked = true;
            parked.push(element);
        }
    }
    Ok(parked)
}

pub(super) async fn resume(
    session: &dyn SqlSession,
    limit: u32,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    let parameters = vec![limit.into(), milliseconds(grace)];
    read_queued(&session.query(WRITE, RESUME, parameters).await?)
}

pub(super) async fn expired(session: &dyn SqlSession, limit: u32) -> Result<BTreeSet<u64>, StoreError> {
    let rows = session.query(READ, EXPIRED, vec![limit.into()]).await?;
    rows.iter().map(|row| row.number("element.number", 0)).collect()
}

pub(super) async fn skip(
    session: &dyn SqlSession,
    elements: &BTreeSet<u64>,
) -> Result<Vec<EndedElement>, StoreError> {
    let read = |row: &Row| {
        Ok(EndedElement {
            number: row.number("element.number", 0)?,
            execution: row.number("element.execution", 1)?,
            state: lockstep_protocol::ElementState::Filtered,
            parked: false,
            // It had no device and no place.
            frees: Vec::new(),
        })
    };
    let rows = session.query(WRITE, SKIP, vec![numbers(elements)]).await?;
    rows.iter().map(read).collect()
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[PARK, RESUME, EXPIRED, SKIP];
