//! How elements end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_protocol::{ElementOutcome, ElementState, GroupName};
use serde_json::Value as Json;

use super::device_lease::{self, Held};
use super::{
    READ, WRITE, check, entity_result, execute, fact, journal, milliseconds, numbers, park, stage, texts,
};
use crate::error_class::ErrorClass;
use crate::sql::{Row, SqlSession, rows};
use crate::{CapScope, ElementEnd, ElementOwner, EndedElement, Halt, Parking, StoreError, column};

/// The bytes of results in one statement: PostgreSQL takes at most 256 MiB as one list.
const MOST_BYTES: usize = 16 << 20;

/// Elements that go on wait for the stage `next` of their execution: they have not ended, and are not announced. The state is compared as an
/// expression, so that elements are found by their numbers: by the index of running elements, all of them would be read for each one.
const FINISH: &str = "\
    UPDATE element SET state = ended.state, outcome = ended.outcome, until = NULL, \
        ended_at = CASE WHEN ended.next IS NULL THEN {now} END, due_at = CASE WHEN ended.next IS NULL THEN {after $2} END, \
        waits_for = CASE WHEN ended.next IS NOT NULL \
            THEN 'stage/' || CAST(element.execution AS text) || '/' || CAST(ended.next AS text) END, \
        stage = coalesce(ended.next, element.stage), \
        earlier_attempts = CASE WHEN ended.next IS NULL THEN element.earlier_attempts ELSE element.attempts END, \
        changed = ended.changed, reason = ended.reason, message = ended.message, data = ended.data \
    FROM {rows $1: number bigint, attempt integer, state text, outcome text, next integer, changed boolean, reason text, message text, \
        data text} AS ended \
    WHERE element.number = ended.number AND element.attempts = ended.attempt AND element.state || '' = 'RUNNING' \
        AND (CAST($3 AS text) IS NULL OR element.owner = $3) \
    RETURNING element.number, element.execution, element.state, element.device_id, element.attempts, element.hostname, element.owner, \
        element.fence, element.other_leases";

const GROUPS: &str = "\
    SELECT member.device_id, device_group.name \
    FROM group_member AS member JOIN device_group ON device_group.id = member.group_id \
    WHERE member.device_id IN (SELECT number FROM {rows $1: number bigint} AS listed) \
        AND device_group.name IN (SELECT name FROM {rows $2: name text} AS capped)";

/// Their ends are due for announcement at once.
const SKIP: &str = "\
    UPDATE element SET state = $3, outcome = 'skipped', ended_at = {now}, due_at = {now}, waits_for = NULL, resume_at = NULL, \
        expires_at = NULL, reason = $4, message = $5 \
    WHERE number IN (SELECT number FROM element WHERE execution = $1 AND outcome = 'open' AND state = 'PENDING' \
        ORDER BY number LIMIT $2 FOR UPDATE)";

/// An element that ended, with what it occupied.
pub(super) struct Ended {
    number: u64,
    execution: u64,
    state: ElementState,
    device: Option<u64>,
    attempt: u32,
    pub(super) parked: bool,
    held: Vec<Held>,
}

pub(super) async fn finish(
    session: &dyn SqlSession,
    ends: &[ElementEnd],
    owner: Option<ElementOwner>,
    groups: &BTreeSet<GroupName>,
    grace: Duration,
) -> Result<Vec<EndedElement>, StoreError> {
    let mut sorted: Vec<&ElementEnd> = ends.iter().collect();
    sorted.sort_by_key(|end| (end.number, end.attempt));
    sorted.dedup_by_key(|end| (end.number, end.attempt));
    let parked = sorted.iter().filter_map(|end| Some((*end, end.parked?)));
    let parked: Vec<(&ElementEnd, Parking)> = parked.collect();
    let mut ended = park::park(session, &parked, owner).await?;
    sorted.retain(|end| end.parked.is_none());
    let mut rest = &sorted[..];
    while !rest.is_empty() {
        let bytes = |end: &&ElementEnd| end.data.as_str().len() + end.message.as_ref().map_or(0, String::len);
        let (part, others) = rest.split_at(fitting(rest, bytes));
        rest = others;
        let part = part.iter().map(|end| listed(end));
        let parameters = vec![
            rows(part.collect::<Result<Vec<_>, _>>()?),
            milliseconds(grace),
            owner.map(|owner| owner.0.to_string()).into(),
        ];
        for row in session.query(WRITE, FINISH, parameters).await? {
            ended.push(read(&row)?);
        }
    }
    ended.sort_unstable_by_key(|element| element.number);
    let took_place = ending(&sorted, &ended);
    fact::write(session, &took_place).await?;
    check::write(session, &took_place).await?;
    write_results(session, &took_place, &ended).await?;
    let held = ended.iter().flat_map(|element| &element.held);
    device_lease::give_back(session, held).await?;
    let devices: BTreeSet<u64> = ended.iter().filter_map(|element| element.device).collect();
    let groups = capped_groups(session, &devices, groups).await?;
    Ok(ended
        .into_iter()
        .map(|element| element.freeing(&groups))
        .collect())
}

/// The ends that took place. Another attempt of an element is no end of it.
fn ending<'a>(ends: &[&'a ElementEnd], ended: &[Ended]) -> Vec<&'a ElementEnd> {
    let attempts: BTreeMap<u64, u32> = ended
        .iter()
        .map(|element| (element.number, element.attempt))
        .collect();
    let is_of_attempt = |end: &&&ElementEnd| attempts.get(&end.number) == Some(&end.attempt);
    ends.iter().filter(is_of_attempt).copied().collect()
}

/// Writes what elements that are not a result by themselves came to.
async fn write_results(
    session: &dyn SqlSession,
    ends: &[&ElementEnd],
    ended: &[Ended],
) -> Result<(), StoreError> {
    let more = |end: &&&ElementEnd| !end.results.is_empty() || !end.items.is_empty();
    let executions: BTreeMap<u64, u64> = ended
        .iter()
        .map(|element| (element.number, element.execution))
        .collect();
    let ends: Vec<(&ElementEnd, u64)> = ends
        .iter()
        .filter(more)
        .filter_map(|end| Some((*end, *executions.get(&end.number)?)))
        .collect();
    if ends.is_empty() {
        return Ok(());
    }
    entity_result::write(session, &ends).await?;
    stage::add_items(session, &ends).await?;
    // What has a journal has results.
    journal::delete(session, &ends.iter().map(|(end, _)| end.number).collect()).await
}

/// Rows in parts that fit in one statement each; at least one row in each.
pub(super) fn in_parts(mut listed: Vec<Vec<Json>>) -> impl Iterator<Item = Vec<Vec<Json>>> {
    std::iter::from_fn(move || {
        let bytes = |row: &Vec<Json>| row.iter().filter_map(Json::as_str).map(str::len).sum();
        let rest = listed.split_off(fitting(&listed, bytes));
        let part = std::mem::replace(&mut listed, rest);
        (!part.is_empty()).then_some(part)
    })
}

/// How many of these fit in one statement; at least one, if there is one.
fn fitting<T>(listed: &[T], bytes: impl Fn(&T) -> usize) -> usize {
    let mut sum = 0;
    let fitting = listed.iter().take_while(|row| {
        sum += bytes(row);
        sum <= MOST_BYTES
    });
    fitting.count().max(1).min(listed.len())
}

fn listed(end: &ElementEnd) -> Result<Vec<Json>, StoreError> {
    let outcome = match (end.state, end.state.outcome(), end.next) {
        (_, Some(outcome), None) => outcome_text(outcome),
        (ElementState::Pending, _, Some(_)) => OPEN,
        (state, ..) => {
            let reason = format!("{state} is no state in which an element ends or goes on");
            return Err(ErrorClass::Refused.error(WRITE, reason));
        }
    };
    let data = (!end.data.is_null()).then(|| end.data.as_str());
    Ok(vec![
        end.number.into(),
        end.attempt.into(),
        end.state.as_str().into(),
        outcome.into(),
        end.next.into(),
        end.changed.into(),
        end.reason.as_deref().into(),
        end.message.as_deref().into(),
        data.into(),
    ])
}

/// The outcome of elements that have not ended, as it is stored.
const OPEN: &str = "open";

/// The outcome as it is stored.
pub(super) const fn outcome_text(outcome: ElementOutcome) -> &'static str {
    match outcome {
        ElementOutcome::Done => "done",
        ElementOutcome::Failed => "failed",
        ElementOutcome::Skipped => "skipped",
    }
}

/// The groups of devices, among those that have a cap.
async fn capped_groups(
    session: &dyn SqlSession,
    devices: &BTreeSet<u64>,
    capped: &BTreeSet<GroupName>,
) -> Result<BTreeMap<u64, BTreeSet<String>>, StoreError> {
    let mut groups: BTreeMap<u64, BTreeSet<String>> = BTreeMap::new();
    if devices.is_empty() || capped.is_empty() {
        return Ok(groups);
    }
    let names = texts(capped.iter().map(|group| group.as_str().to_owned()));
    for row in session.query(READ, GROUPS, vec![numbers(devices), names]).await? {
        groups
            .entry(row.number("group_member.device_id", 0)?)
            .or_default()
            .insert(row.text("device_group.name", 1)?);
    }
    Ok(groups)
}

impl Ended {
    /// The element, with the groups of each device that have a cap.
    fn freeing(self, groups: &BTreeMap<u64, BTreeSet<String>>) -> EndedElement {
        let devices = self.held.into_iter().map(|held| CapScope::Device(held.hostname));
        let groups = self.device.and_then(|device| groups.get(&device));
        let groups = groups.into_iter().flatten().cloned().map(CapScope::Group);
        EndedElement {
            number: self.number,
            execution: self.execution,
            state: self.state,
            parked: self.parked,
            frees: devices.chain(groups).collect(),
        }
    }
}

pub(super) fn read(row: &Row) -> Result<Ended, StoreError> {
    Ok(Ended {
        number: row.number("element.number", 0)?,
        execution: row.number("element.execution", 1)?,
        state: column::word("element.state", &row.text("element.state", 2)?)?,
        device: row.optional_number("element.device_id", 3)?,
        attempt: row.number("element.attempts", 4)?,
        parked: false,
        held: Held::read(row, 5)?,
    })
}

pub(super) async fn skip_unstarted(
    session: &dyn SqlSession,
    execution: u64,
    halt: Halt,
    message: &str,
    limit: u32,
) -> Result<u64, StoreError> {
    let state = match halt {
        Halt::Cancelled => ElementState::Aborted,
        Halt::Deadline | Halt::ParentFailed | Halt::CanaryFailed | Halt::TooManyFailed => {
            ElementState::Filtered
        }
    };
    let parameters = vec![
        execution.into(),
        limit.into(),
        state.as_str().into(),
        halt.as_str().into(),
        message.into(),
    ];
    execute(session, SKIP, parameters).await
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[FINISH, GROUPS, SKIP];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_takes_as_many_results_as_fit_and_at_least_one() {
        let half = MOST_BYTES / 2;
        for (sizes, expected) in [
            (vec![1, 1, 1], 3),
            (vec![half, half, 1], 2),
            (vec![half, half + 1], 1),
            (vec![MOST_BYTES + 1, 1], 1),
            (vec![], 0),
        ] {
            assert_eq!(fitting(&sizes, |size| *size), expected, "{sizes:?}");
        }
    }
}
