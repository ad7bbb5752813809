//! Stores an execution with its elements. The database resolves the entities, so that any number of elements is one statement.

use std::time::Duration;

use lockstep_protocol::commands::ExecuteOn;
use uuid::Uuid;

use super::{READ, WRITE, execution, milliseconds, numbers};
use crate::sql::{SqlSession, Value};
use crate::{CapScope, ElementLevels, ElementSource, NewExecution, StartedExecution, StoreError};

/// The id of the fleet as an entity.
const FLEET: u64 = 0;
/// The most ids without an entity that are named.
const MOST_MISSING: usize = 20;

macro_rules! missing {
    ($table:literal) => {
        concat!(
            "SELECT id FROM {rows $1: id bigint} AS given WHERE NOT EXISTS (SELECT 1 FROM ",
            $table,
            " AS entity WHERE entity.id = given.id) ORDER BY id LIMIT 20"
        )
    };
}

/// The statement that inserts the elements of one kind: `$columns` of the entities whose ids `$chosen` selects. The first `$2` are
/// queued, the others wait.
macro_rules! insert {
    ($kind:literal, $columns:literal, $joins:literal, $chosen:expr) => {
        concat!(
            "INSERT INTO element (execution, entity_type, entity_id, name, device_id, hostname, waits_for, due_at) \
             SELECT CAST($1 AS bigint), '",
            $kind,
            "', id, name, device_id, hostname, CASE WHEN place > $2 THEN CAST($3 AS text) END, \
                CASE WHEN place <= $2 THEN {after $4} END \
             FROM (SELECT entity.*, row_number() OVER (ORDER BY name, id) AS place FROM (SELECT ",
            $columns,
            " FROM (",
            $chosen,
            ") AS chosen",
            $joins,
            ") AS entity) AS placed ORDER BY place"
        )
    };
}

macro_rules! global {
    ($chosen:expr) => {
        insert!(
            "GLOBAL",
            "DISTINCT CAST(0 AS bigint) AS id, 'fleet' AS name, CAST(NULL AS bigint) AS device_id, CAST(NULL AS text) AS hostname",
            "",
            $chosen
        )
    };
}

macro_rules! groups {
    ($chosen:expr) => {
        insert!(
            "GROUP",
            "device_group.id, device_group.name, CAST(NULL AS bigint) AS device_id, CAST(NULL AS text) AS hostname",
            " JOIN device_group ON device_group.id = chosen.id",
            $chosen
        )
    };
}

macro_rules! devices {
    ($chosen:expr) => {
        insert!(
            "DEVICE",
            "device.id, device.hostname AS name, device.id AS device_id, device.hostname",
            " JOIN device ON device.id = chosen.id",
            $chosen
        )
    };
}

macro_rules! interfaces {
    ($chosen:expr) => {
        insert!(
            "INTERFACE",
            "interface.id, device.hostname || ' ' || interface.name AS name, device.id AS device_id, device.hostname",
            " JOIN interface ON interface.id = chosen.id JOIN device ON device.id = interface.device_id",
            $chosen
        )
    };
}

macro_rules! clients {
    ($chosen:expr) => {
        insert!(
            "CLIENT",
            "client.id, client.mac AS name, device.id AS device_id, device.hostname",
            " JOIN client ON client.id = chosen.id LEFT JOIN interface ON interface.id = client.interface_id \
              LEFT JOIN device ON device.id = interface.device_id",
            $chosen
        )
    };
}

/// The entities of failed elements of the execution `$5`.
macro_rules! failed {
    () => {
        "SELECT entity_id AS id FROM element WHERE execution = $5 AND outcome = 'failed'"
    };
}

/// The ids in `$5`.
macro_rules! given {
    () => {
        related!("given.id", "")
    };
}

/// Entities that are related to those with the ids in `$5`.
macro_rules! related {
    ($id:literal, $joins:literal) => {
        concat!(
            "SELECT DISTINCT ",
            $id,
            " AS id FROM {rows $5: id bigint} AS given",
            $joins
        )
    };
}

macro_rules! both {
    ($one:expr, $other:expr) => {
        concat!($one, " UNION ", $other)
    };
}

/// The statement for a source. `None` if no entity of this kind comes from it.
macro_rules! from_source {
    ($source:expr, $insert:ident, all: $all:expr, group: $group:expr, device: $device:expr, interface: $interface:expr,
        client: $client:expr) => {
        match $source {
            ElementSource::All => Some($insert!($all)),
            ElementSource::FailedOf(_) => Some($insert!(failed!())),
            ElementSource::Of { entity_type, .. } => match entity_type {
                ExecuteOn::Group => Some($insert!($group)),
                ExecuteOn::Device => Some($insert!($device)),
                ExecuteOn::Interface => Some($insert!($interface)),
                ExecuteOn::Client => Some($insert!($client)),
                ExecuteOn::Global => None,
            },
            ElementSource::Global => None,
        }
    };
}

const FLEET_ONCE: &str = global!("SELECT 1");
const FLEET_IF_GIVEN: &str = global!(given!());
const FLEET_IF_FAILED: &str = global!(failed!());

/// A client without an interface stands for the devices of its group, and one without a group for the groups of its device.
pub(super) fn statement(run_on: ExecuteOn, source: &ElementSource) -> Option<&'static str> {
    match run_on {
        ExecuteOn::Global => Some(match source {
            ElementSource::Global | ElementSource::All => FLEET_ONCE,
            ElementSource::Of { .. } => FLEET_IF_GIVEN,
            ElementSource::FailedOf(_) => FLEET_IF_FAILED,
        }),
        ExecuteOn::Group => from_source!(source, groups,
            all: "SELECT id FROM device_group",
            group: given!(),
            device: related!("member.group_id", " JOIN group_member AS member ON member.device_id = given.id"),
            interface: related!(
                "member.group_id",
                " JOIN interface ON interface.id = given.id JOIN group_member AS member ON member.device_id = interface.device_id"
            ),
            client: both!(
                related!(
                    "client.group_id",
                    " JOIN client ON client.id = given.id WHERE client.group_id IS NOT NULL"
                ),
                related!(
                    "member.group_id",
                    " JOIN client ON client.id = given.id JOIN interface ON interface.id = client.interface_id \
                      JOIN group_member AS member ON member.device_id = interface.device_id WHERE client.group_id IS NULL"
                )
            )
        ),
        ExecuteOn::Device => from_source!(source, devices,
            all: "SELECT id FROM device",
            group: related!("member.device_id", " JOIN group_member AS member ON member.group_id = given.id"),
            device: given!(),
            interface: related!("interface.device_id", " JOIN interface ON interface.id = given.id"),
            client: both!(
                related!(
                    "interface.device_id",
                    " JOIN client ON client.id = given.id JOIN interface ON interface.id = client.interface_id"
                ),
                related!(
                    "member.device_id",
                    " JOIN client ON client.id = given.id JOIN group_member AS member ON member.group_id = client.group_id \
                      WHERE client.interface_id IS NULL"
                )
            )
        ),
        ExecuteOn::Interface => from_source!(source, interfaces,
            all: "SELECT id FROM interface",
            group: related!(
                "interface.id",
                " JOIN group_member AS member ON member.group_id = given.id JOIN interface ON interface.device_id = member.device_id"
            ),
            device: related!("interface.id", " JOIN interface ON interface.device_id = given.id"),
            interface: given!(),
            client: both!(
                related!(
                    "client.interface_id",
                    " JOIN client ON client.id = given.id WHERE client.interface_id IS NOT NULL"
                ),
                related!(
                    "interface.id",
                    " JOIN client ON client.id = given.id JOIN group_member AS member ON member.group_id = client.group_id \
                      JOIN interface ON interface.device_id = member.device_id WHERE client.interface_id IS NULL"
                )
            )
        ),
        ExecuteOn::Client => from_source!(source, clients,
            all: "SELECT id FROM client",
            group: both!(
                related!("client.id", " JOIN client ON client.group_id = given.id"),
                related!(
                    "client.id",
                    " JOIN group_member AS member ON member.group_id = given.id \
                      JOIN interface ON interface.device_id = member.device_id JOIN client ON client.interface_id = interface.id"
                )
            ),
            device: related!(
                "client.id",
                " JOIN interface ON interface.device_id = given.id JOIN client ON client.interface_id = interface.id"
            ),
            interface: related!("client.id", " JOIN client ON client.interface_id = given.id"),
            client: given!()
        ),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is another part of one statement")]
pub(super) async fn start(
    session: &dyn SqlSession,
    id: Uuid,
    new: &NewExecution,
    source: &ElementSource,
    _levels: ElementLevels,
    queued: u64,
    waits_for: &CapScope,
    grace: Duration,
) -> Result<StartedExecution, StoreError> {
    if let ElementSource::Of { entity_type, ids } = source {
        let missing = missing(session, *entity_type, ids).await?;
        if !missing.is_empty() {
            return Ok(StartedExecution {
                number: 0,
                elements: 0,
                missing,
            });
        }
    }
    let number = execution::insert(session, id, new).await?;
    let mut elements = 0;
    if let Some(statement) = statement(new.run_on, source) {
        let waits_for = match waits_for {
            CapScope::Execution(0) => CapScope::Execution(number),
            other => other.clone(),
        };
        let mut parameters: Vec<Value> = vec![
            number.into(),
            queued.into(),
            waits_for.to_string().into(),
            milliseconds(grace),
        ];
        match source {
            ElementSource::Global | ElementSource::All => {}
            ElementSource::Of { ids, .. } => parameters.push(numbers(ids)),
            ElementSource::FailedOf(failed) => parameters.push((*failed).into()),
        }
        elements = session.execute_each(WRITE, statement, vec![parameters]).await?;
        execution::count_elements(session, number, elements).await?;
    }
    Ok(StartedExecution {
        number,
        elements,
        missing: Vec::new(),
    })
}

/// The ids that no entity of this kind has.
async fn missing(
    session: &dyn SqlSession,
    entity_type: ExecuteOn,
    ids: &[u64],
) -> Result<Vec<u64>, StoreError> {
    let statement = match entity_type {
        ExecuteOn::Global => {
            let others = ids.iter().copied().filter(|id| *id != FLEET);
            return Ok(others.take(MOST_MISSING).collect());
        }
        ExecuteOn::Group => missing!("device_group"),
        ExecuteOn::Device => missing!("device"),
        ExecuteOn::Interface => missing!("interface"),
        ExecuteOn::Client => missing!("client"),
    };
    let rows = session.query(READ, statement, vec![numbers(ids)]).await?;
    rows.iter().map(|row| row.number("id", 0)).collect()
}
