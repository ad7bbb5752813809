//! Scopes: what bounds how many elements run at once, and what elements wait for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{READ, WRITE, execute, milliseconds, read_queued, texts};
use crate::sql::{Row, SqlSession, Value};
use crate::{CapScope, QueuedElement, StoreError, column};

/// In the order of the list, which is that of the names.
const INSERT: &str = "\
    INSERT INTO cap_scope (name) SELECT name FROM {rows $1: name text} AS listed WHERE true \
    ON CONFLICT (name) DO NOTHING";

const LOCK: &str = "\
    SELECT name FROM cap_scope WHERE name IN (SELECT name FROM {rows $1: name text} AS listed) ORDER BY name FOR UPDATE";

/// Counts the elements of the condition in each of the scopes. The elements are read once.
macro_rules! count {
    ($condition:literal) => {
        concat!(
            "WITH counted AS (SELECT execution, device_id, hostname FROM element WHERE ",
            $condition,
            "), scope AS (SELECT name FROM {rows $1: name text} AS listed) \
             SELECT name, count(*) FROM scope JOIN counted ON scope.name = 'overall' GROUP BY name \
             UNION ALL \
             SELECT name, count(*) FROM counted JOIN scope ON scope.name = 'execution/' || CAST(counted.execution AS text) \
                 GROUP BY name \
             UNION ALL \
             SELECT name, count(*) FROM counted JOIN scope ON scope.name = 'device/' || counted.hostname GROUP BY name \
             UNION ALL \
             SELECT scope.name, count(*) FROM counted JOIN execution ON execution.number = counted.execution \
                 JOIN scope ON scope.name = 'provider/' || execution.provider GROUP BY scope.name \
             UNION ALL \
             SELECT scope.name, count(*) FROM counted JOIN group_member AS member ON member.device_id = counted.device_id \
                 JOIN device_group ON device_group.id = member.group_id \
                 JOIN scope ON scope.name = 'group/' || device_group.name GROUP BY scope.name"
        )
    };
}

/// Every element that runs has an owner; the condition leads SQLite to the index of those.
const RUNNING: &str = count!("state = 'RUNNING' AND owner > '' AND until > {now}");
const QUEUED: &str = count!("due_at IS NOT NULL AND outcome = 'open'");

const RELEASE: &str = "\
    UPDATE element SET waits_for = NULL, due_at = {after $3}, repeats = 0 WHERE number IN ( \
        SELECT number FROM element WHERE waits_for = $1 AND NOT EXISTS (SELECT 1 FROM execution \
            WHERE execution.number = element.execution AND (execution.paused OR execution.halt IS NOT NULL)) \
        ORDER BY number LIMIT $2 FOR UPDATE SKIP LOCKED) \
    RETURNING number, lane";

const RELEASE_ONE_EACH: &str = "\
    UPDATE element SET waits_for = NULL, due_at = {after $2}, repeats = 0 WHERE number IN ( \
        SELECT number FROM element WHERE waits_for IS NOT NULL AND number IN ( \
            SELECT min(number) FROM element WHERE waits_for IS NOT NULL AND waits_for IN (SELECT name FROM {rows $1: name text} AS listed) \
                AND NOT EXISTS (SELECT 1 FROM execution \
                    WHERE execution.number = element.execution AND (execution.paused OR execution.halt IS NOT NULL)) \
            GROUP BY waits_for) \
        ORDER BY number FOR UPDATE SKIP LOCKED) \
    RETURNING number, lane";

/// Steps from scope to scope in the index, so the many elements of one scope are not read.
const WAITING: &str = "\
    WITH RECURSIVE scope (name) AS ( \
        SELECT min(waits_for) FROM element WHERE waits_for IS NOT NULL \
        UNION ALL \
        SELECT (SELECT min(waits_for) FROM element WHERE waits_for > scope.name) FROM scope WHERE scope.name IS NOT NULL) \
    SELECT name, (SELECT count(*) FROM (SELECT 1 FROM element WHERE waits_for = scope.name LIMIT 1000) AS counted) \
    FROM scope WHERE name IS NOT NULL LIMIT $1";

pub(super) async fn lock(session: &dyn SqlSession, scopes: &BTreeSet<CapScope>) -> Result<(), StoreError> {
    if scopes.is_empty() {
        return Ok(());
    }
    execute(session, INSERT, vec![names(scopes)]).await?;
    session.query(READ, LOCK, vec![names(scopes)]).await?;
    Ok(())
}

pub(super) async fn running(
    session: &dyn SqlSession,
    scopes: &BTreeSet<CapScope>,
) -> Result<BTreeMap<CapScope, u32>, StoreError> {
    count(session, RUNNING, scopes).await
}

pub(super) async fn queued(
    session: &dyn SqlSession,
    scopes: &BTreeSet<CapScope>,
) -> Result<BTreeMap<CapScope, u32>, StoreError> {
    count(session, QUEUED, scopes).await
}

/// Scopes without elements count, too.
async fn count(
    session: &dyn SqlSession,
    statement: &'static str,
    scopes: &BTreeSet<CapScope>,
) -> Result<BTreeMap<CapScope, u32>, StoreError> {
    let mut counts: BTreeMap<CapScope, u32> = scopes.iter().map(|scope| (scope.clone(), 0)).collect();
    if counts.is_empty() {
        return Ok(counts);
    }
    for row in session.query(READ, statement, vec![names(scopes)]).await? {
        let (scope, count) = read(&row)?;
        counts.insert(scope, count);
    }
    Ok(counts)
}

pub(super) async fn release(
    session: &dyn SqlSession,
    scope: &CapScope,
    limit: u32,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    let parameters = vec![scope.to_string().into(), limit.into(), milliseconds(grace)];
    read_queued(&session.query(WRITE, RELEASE, parameters).await?)
}

pub(super) async fn release_one_each(
    session: &dyn SqlSession,
    scopes: &BTreeSet<CapScope>,
    grace: Duration,
) -> Result<Vec<QueuedElement>, StoreError> {
    if scopes.is_empty() {
        return Ok(Vec::new());
    }
    let parameters = vec![names(scopes), milliseconds(grace)];
    read_queued(&session.query(WRITE, RELEASE_ONE_EACH, parameters).await?)
}

pub(super) async fn waiting(
    session: &dyn SqlSession,
    limit: u32,
) -> Result<BTreeMap<CapScope, u32>, StoreError> {
    let rows = session.query(READ, WAITING, vec![limit.into()]).await?;
    rows.iter().map(read).collect()
}

/// In their order as texts, which is that of the table.
fn names(scopes: &BTreeSet<CapScope>) -> Value {
    let names: BTreeSet<String> = scopes.iter().map(ToString::to_string).collect();
    texts(names)
}

fn read(row: &Row) -> Result<(CapScope, u32), StoreError> {
    let scope = column::word("element.waits_for", &row.text("element.waits_for", 0)?)?;
    Ok((scope, row.number("element", 1)?))
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[INSERT, LOCK, RUNNING, QUEUED, RELEASE, RELEASE_ONE_EACH, WAITING];
