//! What executions keep under the names and the numbers of devices, when those are renamed or removed.
//!
//! An element keeps the hostname of its device to renew and give back the lease of the device. It goes on under the new name, with the
//! lease: otherwise another element could begin on the device at the same time. What has ended keeps the name that the device had.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::device_lease::PREFIX;
use super::{READ, WRITE, texts};
use crate::sql::{SqlSession, Value, rows};
use crate::{RenamedDevice, StoreError};

/// The elements of the devices, those that wait for one of them, and those of their controllers that run.
const LOCK_ELEMENTS: &str = "\
    SELECT number FROM element WHERE number IN ( \
        SELECT element.number FROM {rows $1: id bigint} AS listed JOIN element ON element.device_id = listed.id \
        WHERE element.outcome = 'open' \
        UNION ALL \
        SELECT element.number FROM {rows $2: name text} AS listed JOIN element ON element.waits_for = listed.name \
        UNION ALL \
        SELECT element.number FROM {rows $1: id bigint} AS listed JOIN device ON device.id = listed.id \
            JOIN element ON element.device_id = device.controller_id WHERE element.outcome = 'open') \
    ORDER BY number FOR UPDATE";

const LOCK_LEASES: &str = "\
    SELECT name FROM lease WHERE name IN (SELECT name FROM {rows $1: name text} AS listed) ORDER BY name FOR UPDATE";

const RENAME_ELEMENTS: &str = "UPDATE element SET hostname = $2 WHERE device_id = $1 AND outcome = 'open'";

const RENAME_SCOPE: &str = "UPDATE element SET waits_for = $2 WHERE waits_for = $1";

/// The texts are those of a JSON array: `[\"sw1\",`.
const RENAME_OTHERS: &str = "\
    UPDATE element SET other_leases = replace(other_leases, $2, $3) \
    WHERE device_id = (SELECT controller_id FROM device WHERE id = $1) AND outcome = 'open' AND other_leases IS NOT NULL";

/// Fences only increase. An element that has another fence than its lease does not give it back: the lease expires.
const TAKE_LEASE: &str = "\
    INSERT INTO lease (name, owner, fence, until) \
    SELECT CAST($2 AS text), owner, fence, until FROM lease WHERE name = $1 AND until > {now} \
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until, \
        fence = CASE WHEN lease.fence > excluded.fence THEN lease.fence ELSE excluded.fence END";

const FREE_LEASE: &str = "UPDATE lease SET until = {now} WHERE name = $1 AND until > {now}";

macro_rules! delete_of {
    ($table:literal) => {
        [
            concat!("DELETE FROM ", $table, " WHERE entity_type = 'DEVICE' AND entity_id = $1"),
            concat!(
                "DELETE FROM ",
                $table,
                " WHERE entity_type = 'INTERFACE' AND entity_id IN (SELECT id FROM interface WHERE device_id = $1)"
            ),
        ]
    };
}

/// Those of the device, and those of its interfaces.
const DELETE_FACTS: [&str; 2] = delete_of!("fact");
const DELETE_FORMER_FACTS: [&str; 2] = delete_of!("fact_history");
const DELETE_CHECKS: [&str; 2] = delete_of!("entity_check");

/// Renames what devices have here, one device after the other. Runs before the devices themselves get their names.
pub(crate) async fn rename(session: &dyn SqlSession, renamed: &[RenamedDevice]) -> Result<(), StoreError> {
    if renamed.is_empty() {
        return Ok(());
    }
    lock(session, renamed).await?;
    let each = |set: fn(&RenamedDevice) -> Vec<Value>| renamed.iter().map(set).collect::<Vec<_>>();
    let elements = each(|device| vec![device.id.into(), device.to.as_str().into()]);
    session.execute_each(WRITE, RENAME_ELEMENTS, elements).await?;
    let scopes = each(|device| vec![scope(&device.from).into(), scope(&device.to).into()]);
    session.execute_each(WRITE, RENAME_SCOPE, scopes).await?;
    let others = each(|device| {
        let listed = |name: &str| format!("[{},", Json::from(name));
        let (from, to) = (listed(device.from.as_str()), listed(device.to.as_str()));
        vec![device.id.into(), from.into(), to.into()]
    });
    session.execute_each(WRITE, RENAME_OTHERS, others).await?;
    for device in renamed {
        let (from, to) = (scope(&device.from), scope(&device.to));
        let take = vec![from.as_str().into(), to.into()];
        session.execute_each(WRITE, TAKE_LEASE, vec![take]).await?;
        session
            .execute_each(WRITE, FREE_LEASE, vec![vec![from.into()]])
            .await?;
    }
    Ok(())
}

/// Locks elements, then leases, each in their order, as whoever runs elements does.
async fn lock(session: &dyn SqlSession, renamed: &[RenamedDevice]) -> Result<(), StoreError> {
    let ids: BTreeSet<i64> = renamed.iter().map(|device| device.id).collect();
    let names: BTreeSet<String> = renamed
        .iter()
        .flat_map(|device| [scope(&device.from), scope(&device.to)])
        .collect();
    let ids = rows(ids.into_iter().map(|id| vec![id.into()]));
    let names = texts(names);
    session
        .query(READ, LOCK_ELEMENTS, vec![ids, names.clone()])
        .await?;
    session.query(READ, LOCK_LEASES, vec![names]).await?;
    Ok(())
}

/// The name of the lease of a device, which elements wait for, too.
fn scope(hostname: &lockstep_protocol::Hostname) -> String {
    format!("{PREFIX}{hostname}")
}

/// Deletes the facts and the checks of devices and of their interfaces. Runs before the devices are removed. Elements and results stay
/// as long as their executions; an element that has not begun fails when it begins.
pub(crate) async fn remove(session: &dyn SqlSession, removed: &[i64]) -> Result<(), StoreError> {
    let each = || removed.iter().map(|id| vec![(*id).into()]).collect::<Vec<_>>();
    for statement in [DELETE_FACTS, DELETE_FORMER_FACTS, DELETE_CHECKS]
        .into_iter()
        .flatten()
    {
        session.execute_each(WRITE, statement, each()).await?;
    }
    Ok(())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    LOCK_ELEMENTS,
    LOCK_LEASES,
    RENAME_ELEMENTS,
    RENAME_SCOPE,
    RENAME_OTHERS,
    TAKE_LEASE,
    FREE_LEASE,
    DELETE_FACTS[0],
    DELETE_FACTS[1],
    DELETE_FORMER_FACTS[0],
    DELETE_FORMER_FACTS[1],
    DELETE_CHECKS[0],
    DELETE_CHECKS[1],
];
