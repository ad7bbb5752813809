//! Checks of entities, the newest of each key marked.

use std::collections::BTreeMap;

use lockstep_protocol::EntityType;

use super::{READ, execute};
use crate::error_class::ErrorClass;
use crate::sql::{Row, SqlDatabase, SqlSession, Value, rows};
use crate::{CheckRow, ElementEnd, NewCheck, StoreError, column};

/// Another transaction that performs one of these checks at the same time makes this one fail with a conflict, so it is repeated.
const AGE: &str = "\
    UPDATE entity_check SET newest = false WHERE number IN ( \
        SELECT entity_check.number \
        FROM {rows $1: entity_type text, entity_id bigint, key text} AS performed JOIN entity_check \
            ON entity_check.entity_type = performed.entity_type AND entity_check.entity_id = performed.entity_id \
            AND entity_check.key = performed.key AND entity_check.newest \
        ORDER BY entity_check.number FOR UPDATE)";

const ADD: &str = "\
    INSERT INTO entity_check (entity_type, entity_id, key, result, reason, metrics, at, element, newest) \
    SELECT entity_type, entity_id, key, result, reason, metrics, {now}, element, true \
    FROM {rows $1: entity_type text, entity_id bigint, key text, result text, reason text, metrics text, element bigint} AS performed";

/// The columns that [`read_check`] expects.
macro_rules! columns {
    () => {
        "entity_check.key, entity_check.result, entity_check.reason, entity_check.metrics, entity_check.at, entity_check.element"
    };
}

const NEWEST: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entity_check WHERE entity_type = $1 AND entity_id = $2 AND newest ORDER BY key LIMIT $3"
);

const HISTORY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM entity_check WHERE entity_type = $1 AND entity_id = $2 AND key = $3 ORDER BY number DESC LIMIT $4"
);

/// The entities of a kind by `$from`, with their names, and the newest check of each.
macro_rules! below {
    ($kind:literal, $id:literal, $name:literal, $from:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", ",
            $name,
            " FROM ",
            $from,
            " LEFT JOIN entity_check ON entity_check.entity_type = '",
            $kind,
            "' AND entity_check.entity_id = ",
            $id,
            " AND entity_check.key = $2 AND entity_check.newest WHERE ",
        )
    };
}

const DEVICES_OF_GROUP: &str = concat!(
    below!(
        "DEVICE",
        "device.id",
        "device.hostname",
        "group_member AS member JOIN device ON device.id = member.device_id"
    ),
    "member.group_id = $1 ORDER BY device.hostname"
);

const DEVICES_OF_CONTROLLER: &str = concat!(
    below!("DEVICE", "device.id", "device.hostname", "device"),
    "device.controller_id = $1 ORDER BY device.hostname"
);

const INTERFACES_OF_GROUP: &str = concat!(
    below!(
        "INTERFACE",
        "interface.id",
        "device.hostname || ' ' || interface.name",
        "group_member AS member JOIN device ON device.id = member.device_id JOIN interface ON interface.device_id = device.id"
    ),
    "member.group_id = $1 ORDER BY device.hostname, interface.name"
);

const INTERFACES_OF_DEVICE: &str = concat!(
    below!("INTERFACE", "interface.id", "interface.name", "interface"),
    "interface.device_id = $1 ORDER BY interface.name"
);

const CLIENTS_OF_GROUP: &str = concat!(
    below!("CLIENT", "client.id", "client.mac", "client"),
    "client.group_id = $1 ORDER BY client.mac"
);

const CLIENTS_OF_INTERFACE: &str = concat!(
    below!("CLIENT", "client.id", "client.mac", "client"),
    "client.interface_id = $1 ORDER BY client.mac"
);

/// A key of an entity: its kind, its id, and the key.
type Key<'a> = (&'a str, u64, &'a str);

/// Writes the checks of elements that ended. If several elements performed the same check of the same entity, all are kept, and the
/// last one is the newest.
pub(super) async fn write(session: &dyn SqlSession, ends: &[&ElementEnd]) -> Result<(), StoreError> {
    // The checks of each key of an entity, in the order in which they become its newest one.
    let mut of_key: BTreeMap<Key<'_>, Vec<(&NewCheck, u64)>> = BTreeMap::new();
    for end in ends {
        for check in &end.checks {
            let key = (check.entity_type.as_str(), check.entity, check.key.as_str());
            of_key.entry(key).or_default().push((check, end.number));
        }
    }
    let most = of_key.values().map(Vec::len).max().unwrap_or(0);
    for round in 0..most {
        let performed: Vec<_> = of_key
            .iter()
            .filter_map(|(key, checks)| Some((*key, *checks.get(round)?)))
            .collect();
        let keys = performed.iter().map(|((entity_type, entity, key), _)| {
            vec![(*entity_type).into(), (*entity).into(), (*key).into()]
        });
        execute(session, AGE, vec![rows(keys)]).await?;
        let checks = performed
            .iter()
            .map(|((entity_type, entity, key), (check, element))| {
                vec![
                    (*entity_type).into(),
                    (*entity).into(),
                    (*key).into(),
                    check.result.as_str().into(),
                    check.reason.as_deref().into(),
                    check.metrics.to_string().into(),
                    (*element).into(),
                ]
            });
        execute(session, ADD, vec![rows(checks)]).await?;
    }
    Ok(())
}

pub(super) async fn read<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    entity: u64,
    key: Option<&str>,
    limit: u32,
) -> Result<Vec<CheckRow>, StoreError> {
    let mut parameters: Vec<Value> = vec![entity_type.as_str().into(), entity.into()];
    parameters.extend(key.map(Value::from));
    parameters.push(limit.into());
    let statement = if key.is_some() { HISTORY } else { NEWEST };
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    rows.iter().map(read_check).collect()
}

pub(super) async fn below<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    entity: u64,
    below: EntityType,
    key: &str,
) -> Result<Vec<(String, Option<CheckRow>)>, StoreError> {
    let Some(statement) = statement_below(entity_type, below) else {
        let reason = format!("no {below} is in or below a {entity_type}");
        return Err(ErrorClass::Refused.error(READ, reason));
    };
    let parameters = vec![entity.into(), key.into()];
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    let read = |row: &Row| {
        let check = row.optional_text("entity_check.key", 0)?;
        let check = check.map(|_| read_check(row)).transpose()?;
        Ok((row.text("the name of an entity", 6)?, check))
    };
    rows.iter().map(read).collect()
}

const fn statement_below(entity_type: EntityType, below: EntityType) -> Option<&'static str> {
    use EntityType::{Client, Device, Group, Interface};
    match (entity_type, below) {
        (Group, Device) => Some(DEVICES_OF_GROUP),
        (Group, Interface) => Some(INTERFACES_OF_GROUP),
        (Group, Client) => Some(CLIENTS_OF_GROUP),
        (Device, Device) => Some(DEVICES_OF_CONTROLLER),
        (Device, Interface) => Some(INTERFACES_OF_DEVICE),
        (Interface, Client) => Some(CLIENTS_OF_INTERFACE),
        _ => None,
    }
}

fn read_check(row: &Row) -> Result<CheckRow, StoreError> {
    Ok(CheckRow {
        key: row.text("entity_check.key", 0)?,
        result: row.text("entity_check.result", 1)?,
        reason: row.optional_text("entity_check.reason", 2)?,
        metrics: column::json("entity_check.metrics", &row.text("entity_check.metrics", 3)?)?,
        at: row.time("entity_check.at", 4)?,
        element: row.number("entity_check.element", 5)?,
    })
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    AGE,
    ADD,
    NEWEST,
    HISTORY,
    DEVICES_OF_GROUP,
    DEVICES_OF_CONTROLLER,
    INTERFACES_OF_GROUP,
    INTERFACES_OF_DEVICE,
    CLIENTS_OF_GROUP,
    CLIENTS_OF_INTERFACE,
];
