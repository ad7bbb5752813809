//! The leases of devices: one element at a time runs on a device, over all workers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use lockstep_protocol::Hostname;

use super::{WRITE, execute, milliseconds, texts};
use crate::sql::{Row, SqlSession, Value, rows};
use crate::{ElementOwner, StoreError, column};

pub(super) const PREFIX: &str = "device/";

/// In the order of the list, which is that of the names. A lease that is held is locked, too: whoever gives it back waits, and then finds
/// the element that waits for it.
const ACQUIRE: &str = "\
    INSERT INTO lease (name, owner, fence, until) \
    SELECT name, CAST($2 AS text), 1, {after $3} FROM {rows $1: name text} AS listed WHERE true \
    ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, fence = lease.fence + 1, until = excluded.until \
        WHERE lease.until <= {now} \
    RETURNING name, fence";

/// A lease that passed on has another fence.
const GIVE_BACK: &str = "\
    WITH held AS (SELECT name FROM lease \
        WHERE (name, owner, fence) IN (SELECT name, owner, fence FROM {rows $1: name text, owner text, fence bigint} AS listed) \
        ORDER BY name FOR UPDATE) \
    UPDATE lease SET until = {now} WHERE name IN (SELECT name FROM held)";

/// Locks are taken in no order, so leases that another transaction holds are left out: the next renewal is early enough.
pub(super) const RENEW: &str = "\
    UPDATE lease SET until = {after $2} WHERE name IN ( \
        SELECT name FROM lease WHERE owner = $1 AND until > {now} AND name IN ( \
            SELECT 'device/' || hostname FROM element \
            WHERE owner = $1 AND state = 'RUNNING' AND until > {now} AND fence IS NOT NULL) \
        FOR UPDATE SKIP LOCKED)";

/// Those of the devices behind controllers.
pub(super) const RENEW_OTHERS: &str = "\
    UPDATE lease SET until = {after $2} WHERE name IN ( \
        SELECT name FROM lease WHERE owner = $1 AND until > {now} AND name IN (SELECT name FROM {rows $3: name text} AS listed) \
        FOR UPDATE SKIP LOCKED)";

/// A lease of a device under which an element ran.
pub(super) struct Held {
    pub(super) hostname: String,
    owner: String,
    fence: i64,
}

impl Held {
    /// Reads them from the columns `hostname`, `owner`, `fence` and `other_leases` of an element. None if the element ran without.
    pub(super) fn read(row: &Row, first: usize) -> Result<Vec<Self>, StoreError> {
        let hostname = row.optional_text("element.hostname", first)?;
        let owner = row.optional_text("element.owner", first + 1)?;
        let fence = row.optional_number("element.fence", first + 2)?;
        let (Some(hostname), Some(owner), Some(fence)) = (hostname, owner, fence) else {
            return Ok(Vec::new());
        };
        let others = read_others(row, first + 3)?;
        let all = [(hostname, fence)].into_iter().chain(others);
        let held = all.map(|(hostname, fence)| Self {
            hostname,
            owner: owner.clone(),
            fence,
        });
        Ok(held.collect())
    }
}

/// The hostnames and fences in the column `other_leases` of an element.
pub(super) fn read_others(row: &Row, index: usize) -> Result<Vec<(String, i64)>, StoreError> {
    let others = row.optional_text("element.other_leases", index)?;
    others.map_or(Ok(Vec::new()), |others| {
        column::json("element.other_leases", &others)
    })
}

/// How they are written there.
pub(super) fn others_text(others: &[(Hostname, i64)]) -> Option<String> {
    let listed: Vec<(&str, i64)> = others
        .iter()
        .map(|(hostname, fence)| (hostname.as_str(), *fence))
        .collect();
    (!listed.is_empty()).then(|| serde_json::json!(listed).to_string())
}

/// The names of the leases of devices.
pub(super) fn names<T: Display>(hostnames: impl IntoIterator<Item = T>) -> Value {
    let names = hostnames
        .into_iter()
        .map(|hostname| format!("{PREFIX}{hostname}"));
    texts(names.collect::<BTreeSet<_>>())
}

pub(super) async fn acquire(
    session: &dyn SqlSession,
    hostnames: &BTreeSet<Hostname>,
    owner: ElementOwner,
    time: Duration,
) -> Result<BTreeMap<Hostname, i64>, StoreError> {
    if hostnames.is_empty() {
        return Ok(BTreeMap::new());
    }
    let parameters = vec![names(hostnames), owner.0.to_string().into(), milliseconds(time)];
    let rows = session.query(WRITE, ACQUIRE, parameters).await?;
    rows.iter()
        .map(|row| {
            let name = row.text("lease.name", 0)?;
            let hostname = name.strip_prefix(PREFIX).unwrap_or(&name).to_owned();
            Ok((
                column::name("lease.name", hostname)?,
                row.integer("lease.fence", 1)?,
            ))
        })
        .collect()
}

/// Gives back leases that this transaction acquired.
pub(super) async fn give_back_acquired(
    session: &dyn SqlSession,
    fences: &BTreeMap<Hostname, i64>,
    owner: ElementOwner,
) -> Result<(), StoreError> {
    let held: Vec<Held> = fences
        .iter()
        .map(|(hostname, fence)| Held {
            hostname: hostname.to_string(),
            owner: owner.0.to_string(),
            fence: *fence,
        })
        .collect();
    give_back(session, held.iter()).await
}

pub(super) async fn give_back(
    session: &dyn SqlSession,
    held: impl Iterator<Item = &Held>,
) -> Result<(), StoreError> {
    let listed = held.map(|held| {
        let name = format!("{PREFIX}{}", held.hostname);
        vec![name.into(), held.owner.as_str().into(), held.fence.into()]
    });
    let listed: Vec<_> = listed.collect();
    if !listed.is_empty() {
        execute(session, GIVE_BACK, vec![rows(listed)]).await?;
    }
    Ok(())
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[ACQUIRE, GIVE_BACK, RENEW, RENEW_OTHERS];
