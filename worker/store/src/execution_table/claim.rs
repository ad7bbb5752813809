//! What a worker reads and writes to take elements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_protocol::GroupName;

use super::{READ, address, execute, execution, milliseconds, numbers};
use crate::sql::{Row, SqlSession, rows};
use crate::{
    BeginElement, CandidateElement, Candidates, ElementDevice, ElementOwner, HeldBack, StoreError, column,
};

const LOCK: &str = "\
    WITH locked AS (SELECT number, execution, entity_type, entity_id, name, attempts, device_id, stage, whole, item FROM element \
        WHERE state = 'PENDING' AND number IN (SELECT number FROM {rows $1: number bigint} AS listed) ORDER BY number FOR UPDATE) \
    SELECT locked.number, locked.execution, locked.entity_type, locked.entity_id, locked.name, locked.attempts, \
        device.id, device.hostname, CAST(device.management_ip AS text), device.platform, locked.stage, locked.whole, locked.item \
    FROM locked LEFT JOIN device ON device.id = locked.device_id ORDER BY locked.number";

const GROUPS: &str = "\
    SELECT member.device_id, device_group.name \
    FROM {rows $1: number bigint} AS listed JOIN group_member AS member ON member.device_id = listed.number \
        JOIN device_group ON device_group.id = member.group_id \
    ORDER BY member.device_id, device_group.name";

const BEGIN: &str = "\
    UPDATE element SET state = 'RUNNING', attempts = attempts + 1, waits_for = NULL, due_at = NULL, repeats = 0, \
        owner = $2, worker = $3, until = {after $4}, started_at = {now}, fence = begun.fence \
    FROM {rows $1: number bigint, fence bigint} AS begun \
    WHERE element.number = begun.number AND element.state = 'PENDING'";

/// A claim has locked those that have not begun for writing.
const BEGIN_EXECUTIONS: &str = "\
    UPDATE execution SET state = 'RUNNING', started_at = {now} \
    WHERE state = 'PENDING' AND number IN ( \
        SELECT execution FROM element WHERE number IN (SELECT number FROM {rows $1: number bigint} AS listed))";

const HOLD_BACK: &str = "\
    UPDATE element SET waits_for = held.scope, due_at = NULL, repeats = 0 \
    FROM {rows $1: number bigint, scope text} AS held \
    WHERE element.number = held.number AND element.state = 'PENDING'";

pub(super) async fn candidates(
    session: &dyn SqlSession,
    elements: &BTreeSet<u64>,
) -> Result<Candidates, StoreError> {
    if elements.is_empty() {
        return Ok(Candidates::default());
    }
    let executions = execution::lock_for_claim(session, elements).await?;
    let found = session.query(READ, LOCK, vec![numbers(elements)]).await?;
    let mut candidates = found.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let devices = candidates.iter().filter_map(|element| element.device.as_ref());
    let devices: BTreeSet<u64> = devices.map(|device| device.id).collect();
    let groups = groups_of(session, &devices).await?;
    for device in candidates
        .iter_mut()
        .filter_map(|element| element.device.as_mut())
    {
        device.groups = groups.get(&device.id).cloned().unwrap_or_default();
    }
    Ok(Candidates {
        elements: candidates,
        executions,
    })
}

/// The groups of devices, ordered by name.
async fn groups_of(
    session: &dyn SqlSession,
    devices: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, Vec<GroupName>>, StoreError> {
    let mut groups: BTreeMap<u64, Vec<GroupName>> = BTreeMap::new();
    if devices.is_empty() {
        return Ok(groups);
    }
    for row in session.query(READ, GROUPS, vec![numbers(devices)]).await? {
        let name = column::name("device_group.name", row.text("device_group.name", 1)?)?;
        groups
            .entry(row.number("group_member.device_id", 0)?)
            .or_default()
            .push(name);
    }
    Ok(groups)
}

pub(super) async fn begin(
    session: &dyn SqlSession,
    elements: &[BeginElement],
    owner: ElementOwner,
    worker: &str,
    time: Duration,
) -> Result<(), StoreError> {
    if elements.is_empty() {
        return Ok(());
    }
    let mut begun: Vec<&BeginElement> = elements.iter().collect();
    begun.sort_unstable_by_key(|element| element.number);
    let listed = begun
        .iter()
        .map(|element| vec![element.number.into(), element.fence.into()]);
    let parameters = vec![
        rows(listed),
        owner.0.to_string().into(),
        worker.into(),
        milliseconds(time),
    ];
    execute(session, BEGIN, parameters).await?;
    let begun = numbers(begun.iter().map(|element| &element.number));
    execute(session, BEGIN_EXECUTIONS, vec![begun]).await?;
    Ok(())
}

pub(super) async fn hold_back(session: &dyn SqlSession, elements: &[HeldBack]) -> Result<(), StoreError> {
    if elements.is_empty() {
        return Ok(());
    }
    let mut held: Vec<&HeldBack> = elements.iter().collect();
    held.sort_unstable_by_key(|element| element.number);
    let held = held
        .into_iter()
        .map(|element| vec![element.number.into(), element.waits_for.to_string().into()]);
    execute(session, HOLD_BACK, vec![rows(held)]).await?;
    Ok(())
}

/// Its groups are empty.
fn read(row: &Row) -> Result<CandidateElement, StoreError> {
    let device = match row.optional_number("device.id", 6)? {
        None => None,
        Some(id) => Some(ElementDevice {
            id,
            hostname: column::name("device.hostname", row.text("device.hostname", 7)?)?,
            management_ip: address("device.management_ip", row, 8)?,
            platform: row.optional_text("device.platform", 9)?,
            groups: Vec::new(),
        }),
    };
    Ok(CandidateElement {
        number: row.number("element.number", 0)?,
        execution: row.number("element.execution", 1)?,
        entity_type: column::word("element.entity_type", &row.text("element.entity_type", 2)?)?,
        entity: row.number("element.entity_id", 3)?,
        name: row.text("element.name", 4)?,
        device,
        others: Vec::new(),
        attempts: row.number("element.attempts", 5)?,
        stage: row.number("element.stage", 10)?,
        whole: row.boolean("element.whole", 11)?,
        item: row
            .optional_text("element.item", 12)?
            .map(|item| column::json("element.item", &item))
            .transpose()?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[LOCK, GROUPS, BEGIN, BEGIN_EXECUTIONS, HOLD_BACK];
