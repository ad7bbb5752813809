//! Finds entities by their names, and names by ids.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{DeviceState, Hostname, Mac};
use serde_json::Value as Json;

use super::{READ, numbers};
use crate::sql::{Row, SqlDatabase, SqlSession, Value, rows};
use crate::{NamedEntities, StoreError, column};

/// The most unknown names that are listed.
const MOST_UNKNOWN: usize = 20;

/// The ids of the entities of a table with the names in `$1`, which are in this column.
macro_rules! named {
    ($table:literal, $column:literal) => {
        concat!(
            "SELECT given.name, entity.id FROM {rows $1: name text} AS given JOIN ",
            $table,
            " AS entity ON entity.",
            $column,
            " = given.name"
        )
    };
}

const GROUPS: &str = named!("device_group", "name");
const DEVICES: &str = named!("device", "hostname");
const CLIENTS: &str = named!("client", "mac");

const INTERFACES: &str = "\
    SELECT given.hostname || ' ' || given.name, entity.id FROM {rows $1: hostname text, name text} AS given \
    JOIN device ON device.hostname = given.hostname \
    JOIN interface AS entity ON entity.device_id = device.id AND entity.name = given.name";

macro_rules! names_of {
    ($name:literal, $tables:literal) => {
        concat!(
            "SELECT entity.id, ",
            $name,
            " FROM ",
            $tables,
            " WHERE entity.id IN (SELECT id FROM {rows $1: id bigint} AS listed)"
        )
    };
}

const GROUP_NAMES: &str = names_of!("entity.name", "device_group AS entity");
const DEVICE_NAMES: &str = names_of!("entity.hostname", "device AS entity");
const CLIENT_NAMES: &str = names_of!("entity.mac", "client AS entity");
const INTERFACE_NAMES: &str = names_of!(
    "device.hostname || ' ' || entity.name",
    "interface AS entity JOIN device ON device.id = entity.device_id"
);

const DEVICE_STATE: &str = "SELECT state FROM device WHERE hostname = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    GROUPS,
    DEVICES,
    CLIENTS,
    INTERFACES,
    GROUP_NAMES,
    DEVICE_NAMES,
    CLIENT_NAMES,
    INTERFACE_NAMES,
    DEVICE_STATE,
];

/// The names that entities have now.
pub(super) async fn names<D: SqlDatabase>(
    database: &D,
    kind: ExecuteOn,
    ids: &BTreeSet<u64>,
) -> Result<BTreeMap<u64, String>, StoreError> {
    let statement = match kind {
        ExecuteOn::Global => return Ok(BTreeMap::new()),
        ExecuteOn::Group => GROUP_NAMES,
        ExecuteOn::Device => DEVICE_NAMES,
        ExecuteOn::Interface => INTERFACE_NAMES,
        ExecuteOn::Client => CLIENT_NAMES,
    };
    let rows = database
        .read_planned_for_now(READ, statement, vec![numbers(ids)])
        .await?;
    rows.iter()
        .map(|row| Ok((row.number("id", 0)?, row.text("name", 1)?)))
        .collect()
}

/// The state of a device, in an open transaction.
pub(super) async fn device_state(
    session: &dyn SqlSession,
    hostname: &Hostname,
) -> Result<Option<DeviceState>, StoreError> {
    let rows = session
        .query(READ, DEVICE_STATE, vec![hostname.as_str().into()])
        .await?;
    let state = rows
        .first()
        .map(|row| column::word("device.state", &row.text("device.state", 0)?));
    state.transpose()
}

/// Finds them in an open transaction.
pub(super) async fn find(
    session: &dyn SqlSession,
    kind: ExecuteOn,
    names: &[String],
) -> Result<NamedEntities, StoreError> {
    let found = match statement(kind, names) {
        Some((statement, names)) => session.query(READ, statement, vec![names]).await?,
        None => Vec::new(),
    };
    resolved(kind, names, &found)
}

/// Finds them outside of a transaction.
pub(super) async fn read<D: SqlDatabase>(
    database: &D,
    kind: ExecuteOn,
    names: &[String],
) -> Result<NamedEntities, StoreError> {
    let found = match statement(kind, names) {
        Some((statement, names)) => database.read(READ, statement, vec![names]).await?,
        None => Vec::new(),
    };
    resolved(kind, names, &found)
}

/// The statement, and its parameter. The fleet has no name.
fn statement(kind: ExecuteOn, names: &[String]) -> Option<(&'static str, Value)> {
    let (statement, columns) = match kind {
        ExecuteOn::Global => return None,
        ExecuteOn::Group => (GROUPS, 1),
        ExecuteOn::Device => (DEVICES, 1),
        ExecuteOn::Interface => (INTERFACES, 2),
        ExecuteOn::Client => (CLIENTS, 1),
    };
    let names: BTreeSet<String> = names.iter().map(|name| stored(kind, name)).collect();
    let row = |name: &String| -> Vec<Json> { name.splitn(columns, ' ').map(Json::from).collect() };
    let listed = names.iter().map(row).filter(|row| row.len() == columns);
    Some((statement, rows(listed)))
}

/// A name as the store has it: MAC addresses come in several notations.
fn stored(kind: ExecuteOn, name: &str) -> String {
    match kind {
        ExecuteOn::Client => Mac::try_from(name.to_owned()).map_or_else(|_| name.to_owned(), String::from),
        _ => name.to_owned(),
    }
}

fn resolved(kind: ExecuteOn, names: &[String], found: &[Row]) -> Result<NamedEntities, StoreError> {
    let mut known = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for row in found {
        known.insert(row.text("name", 0)?);
        ids.insert(row.number("id", 1)?);
    }
    let unknown = names.iter().filter(|name| !known.contains(&stored(kind, name)));
    let unknown: BTreeSet<&String> = unknown.collect();
    Ok(NamedEntities {
        ids: ids.into_iter().collect(),
        unknown: unknown.into_iter().take(MOST_UNKNOWN).cloned().collect(),
    })
}
