//! How many entities others have, and how many there are in all.

use std::collections::HashMap;

use lockstep_protocol::EntityType;

use super::{READ, numbers};
use crate::sql::{SqlDatabase, Value};
use crate::{ClientsOf, Relation, StoreError, TotalOf};

/// Counts `$what` for each `$of` that is in the list of ids.
macro_rules! count {
    ($what:literal, $of:literal, $from:literal) => {
        count!($what, $of, $from, "$1")
    };
    ($what:literal, $of:literal, $from:literal, $ids:literal) => {
        concat!(
            "SELECT ",
            $of,
            ", count(",
            $what,
            ") FROM ",
            $from,
            $of,
            " IN (SELECT id FROM {rows ",
            $ids,
            ": id bigint} AS wanted) GROUP BY ",
            $of
        )
    };
}

const INTERFACES: &str = count!("*", "device_id", "interface WHERE ");
const CLIENTS_OF_INTERFACES: &str = count!("*", "interface_id", "client WHERE ");
const CLIENTS_OF_GROUPS: &str = count!("*", "group_id", "client WHERE ");
const CLIENTS_OF_DEVICES: &str = count!(
    "*",
    "interface.device_id",
    "interface JOIN client ON client.interface_id = interface.id WHERE "
);
const GROUPS: &str = count!("*", "device_id", "group_member WHERE ");
const DEVICES: &str = count!("*", "group_id", "group_member WHERE ");
const FACTS: &str = count!("*", "entity_id", "fact WHERE entity_type = $1 AND ", "$2");
const CHECKS: &str = count!(
    "*",
    "entity_id",
    "entity_check WHERE entity_type = $1 AND newest AND ",
    "$2"
);
const ELEMENTS: &str = count!("*", "device_id", "element WHERE ");
const EXECUTIONS: &str = count!("DISTINCT execution", "device_id", "element WHERE ");
const RESULTS: &str = count!("*", "element", "entity_result WHERE ");

const ALL_DEVICES: &str = "SELECT count(*) FROM device";
const ALL_INTERFACES: &str = "SELECT count(*) FROM interface";
const ALL_CLIENTS: &str = "SELECT count(*) FROM client";
/// DEFAULT exists whether or not it has a row.
const ALL_GROUPS: &str = "\
    SELECT count(*) + CASE WHEN EXISTS (SELECT 1 FROM device_group WHERE name = 'DEFAULT') THEN 0 ELSE 1 END FROM device_group";
const ALL_TASKS: &str = "SELECT count(*) FROM task";

pub(super) async fn each<D: SqlDatabase>(
    database: &D,
    relation: Relation,
    ids: &[u64],
) -> Result<HashMap<u64, u64>, StoreError> {
    let (statement, entity_type) = statement(relation);
    let mut parameters: Vec<Value> = Vec::from_iter(entity_type.map(|kind| kind.as_str().into()));
    parameters.push(numbers(ids));
    let rows = database.read_planned_for_now(READ, statement, parameters).await?;
    rows.iter()
        .map(|row| Ok((row.number("id", 0)?, row.number("count", 1)?)))
        .collect()
}

pub(super) async fn all<D: SqlDatabase>(database: &D, of: TotalOf) -> Result<u64, StoreError> {
    let statement = match of {
        TotalOf::Devices => ALL_DEVICES,
        TotalOf::Interfaces => ALL_INTERFACES,
        TotalOf::Clients => ALL_CLIENTS,
        TotalOf::Groups => ALL_GROUPS,
        TotalOf::Tasks => ALL_TASKS,
    };
    let rows = database.read(READ, statement, Vec::new()).await?;
    rows.first().map_or(Ok(0), |row| row.number("count", 0))
}

const fn statement(relation: Relation) -> (&'static str, Option<EntityType>) {
    match relation {
        Relation::InterfacesOfDevices => (INTERFACES, None),
        Relation::Clients(ClientsOf::Interface) => (CLIENTS_OF_INTERFACES, None),
        Relation::Clients(ClientsOf::Group) => (CLIENTS_OF_GROUPS, None),
        Relation::Clients(ClientsOf::Device) => (CLIENTS_OF_DEVICES, None),
        Relation::GroupsOfDevices => (GROUPS, None),
        Relation::DevicesOfGroups => (DEVICES, None),
        Relation::Facts(kind) => (FACTS, Some(kind)),
        Relation::Checks(kind) => (CHECKS, Some(kind)),
        Relation::ElementsOfDevices => (ELEMENTS, None),
        Relation::ExecutionsOfDevices => (EXECUTIONS, None),
        Relation::ResultsOfElements => (RESULTS, None),
    }
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[
    INTERFACES,
    CLIENTS_OF_INTERFACES,
    CLIENTS_OF_GROUPS,
    CLIENTS_OF_DEVICES,
    GROUPS,
    DEVICES,
    FACTS,
    CHECKS,
    ELEMENTS,
    EXECUTIONS,
    RESULTS,
];
