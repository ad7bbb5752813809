//! What a worker reads and writes to take elements.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use lockstep_protocol::GroupName;

use super::endpoint::{self, endpoint_column};
use super::{READ, device_lease, execute, execution, milliseconds, numbers};
use crate::sql::{Row, SqlSession, rows};
use crate::{
    BeginElement, CandidateElement, Candidates, ElementDevice, ElementOwner, HeldBack, StoreError, column,
};

const LOCK: &str = concat!(
    "WITH locked AS (SELECT number, execution, entity_type, entity_id, name, attempts, device_id, stage, whole, item FROM element \
        WHERE state = 'PENDING' AND number IN (SELECT number FROM {rows $1: number bigint} AS listed) ORDER BY number FOR UPDATE) \
     SELECT locked.number, locked.execution, locked.entity_type, locked.entity_id, locked.name, locked.attempts, \
        device.id, device.hostname, CAST(device.management_ip AS text), device.platform, locked.stage, locked.whole, locked.item, \
        EXISTS (SELECT 1 FROM device AS behind WHERE behind.controller_id = device.id), ",
    endpoint_column!(),
    " FROM locked LEFT JOIN device ON device.id = locked.device_id ORDER BY locked.number"
);

const GROUPS: &str = "\
    SELECT member.device_id, device_group.name \
    FROM {rows $1: number bigint} AS listed JOIN group_member AS member ON member.device_id = listed.number \
        JOIN device_group ON device_group.id = member.group_id \
    ORDER BY member.device_id, device_group.name";

/// The devices behind controllers that these elements run on. Of an element that runs on all below it, also devices without anything to run
/// on are among them.
const OTHERS: &str = "\
    SELECT element.number, device.hostname \
    FROM {rows $1: number bigint} AS listed JOIN element ON element.number = listed.number \
        JOIN execution ON execution.number = element.execution JOIN device ON device.controller_id = element.device_id \
    WHERE element.whole OR CASE execution.run_on \
        WHEN 'INTERFACE' THEN EXISTS (SELECT 1 FROM interface JOIN execution_target AS target ON target.entity_id = interface.id \
            WHERE interface.device_id = device.id AND target.execution = execution.number) \
        WHEN 'CLIENT' THEN EXISTS (SELECT 1 FROM interface JOIN client ON client.interface_id = interface.id \
            JOIN execution_target AS target ON target.entity_id = client.id \
            WHERE interface.device_id = device.id AND target.execution = execution.number) \
        ELSE EXISTS (SELECT 1 FROM execution_target AS target \
            WHERE target.execution = execution.number AND target.entity_id = device.id) END \
    ORDER BY element.number, device.hostname";

const BEGIN: &str = "\
    UPDATE element SET state = 'RUNNING', attempts = attempts + 1, waits_for = NULL, due_at = NULL, repeats = 0, \
        owner = $2, worker = $3, until = {after $4}, started_at = {now}, fence = begun.fence, other_leases = begun.others \
    FROM {rows $1: number bigint, fence bigint, others text} AS begun \
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
    add_others(session, &found, &mut candidates).await?;
    Ok(Candidates {
        elements: candidates,
        executions,
    })
}

/// Fills in the devices that elements stand for as controllers. `found` has the rows of the elements.
async fn add_others(
    session: &dyn SqlSession,
    found: &[Row],
    elements: &mut [CandidateElement],
) -> Result<(), StoreError> {
    let mut controllers = BTreeSet::new();
    for (row, element) in found.iter().zip(&*elements) {
        if row.boolean("device.controller_id", 13)? {
            controllers.insert(element.number);
        }
    }
    if controllers.is_empty() {
        return Ok(());
    }
    for row in session.query(READ, OTHERS, vec![numbers(&controllers)]).await? {
        let number: u64 = row.number("element.number", 0)?;
        let hostname = column::name("device.hostname", row.text("device.hostname", 1)?)?;
        if let Some(element) = elements.iter_mut().find(|element| element.number == number) {
            element.others.push(hostname);
        }
    }
    Ok(())
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
    let listed = begun.iter().map(|element| {
        let others = device_lease::others_text(&element.others);
        vec![element.number.into(), element.fence.into(), others.into()]
    });
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
            management_ip: row.optional_address("device.management_ip", 8)?,
            endpoint: endpoint::read(row, 14)?,
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
pub(super) const STATEMENTS: &[&str] = &[LOCK, GROUPS, OTHERS, BEGIN, BEGIN_EXECUTIONS, HOLD_BACK];
