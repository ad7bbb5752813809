//! The statements that insert the elements of a new execution: what is connected to or grouped for its targets.

use lockstep_protocol::SyncTarget;
use lockstep_protocol::commands::ExecuteOn;

use super::target::{
    all, both, failed, failed_clients, failed_connections, failed_devices, failed_entities, failed_groups,
    failed_interfaces, failed_of_sync, failed_results, fleet_failed, from_source, given, of_targets,
    planned_devices, pushed_devices, related, sync_target,
};
use crate::{DEFAULT_GROUP, ElementSource, SyncBound, SyncDevices};

/// Inserts the elements of one kind of the execution `$1`: `$entities` with their ids, names, devices, and whether all below them is run on.
/// The first `$3` are queued, due after `$5`, and the others wait for `$4`. They take part from the stage `$6` on, on the lane `$7`.
macro_rules! insert {
    ($kind:literal, $($entities:expr),*) => {
        concat!(
            "INSERT INTO element (execution, entity_type, entity_id, name, device_id, hostname, whole, stage, lane, waits_for, due_at) \
             SELECT CAST($1 AS bigint), '",
            $kind,
            "', id, name, device_id, hostname, whole, CAST($6 AS integer), CAST($7 AS text), \
                CASE WHEN place > $3 THEN CAST($4 AS text) END, CASE WHEN place <= $3 THEN {after $5} END \
             FROM (SELECT entity.*, row_number() OVER (ORDER BY name, id) AS place FROM (",
            $($entities),*,
            ") AS entity) AS placed ORDER BY place"
        )
    };
}

/// The fleet, if there is a target.
macro_rules! fleet {
    ($targets:expr) => {
        insert!(
            "GLOBAL",
            "SELECT CAST(0 AS bigint) AS id, 'fleet' AS name, CAST(NULL AS bigint) AS device_id, CAST(NULL AS text) AS hostname, \
                true AS whole WHERE EXISTS (",
            $targets,
            ")"
        )
    };
}

/// Groups with their ids and whether all their clients are run on.
macro_rules! insert_groups {
    ($($groups:expr),*) => {
        insert!(
            "GROUP",
            "SELECT device_group.id, device_group.name, CAST(NULL AS bigint) AS device_id, CAST(NULL AS text) AS hostname, \
                scoped.whole FROM (",
            $($groups),*,
            ") AS scoped JOIN device_group ON device_group.id = scoped.id"
        )
    };
}

macro_rules! groups_of_fleet {
    ($targets:expr) => {
        insert_groups!(
            "SELECT id, true AS whole FROM device_group WHERE EXISTS (",
            $targets,
            ")"
        )
    };
}

macro_rules! groups_themselves {
    ($targets:expr) => {
        insert_groups!("SELECT id, true AS whole FROM (", $targets, ") AS chosen")
    };
}

macro_rules! groups_of_devices {
    ($targets:expr) => {
        insert_groups!(
            "SELECT DISTINCT member.group_id AS id, false AS whole FROM (",
            $targets,
            ") AS chosen JOIN group_member AS member ON member.device_id = chosen.id"
        )
    };
}

macro_rules! groups_of_interfaces {
    ($targets:expr) => {
        groups_of_devices!(concat!(
            "SELECT DISTINCT interface.device_id AS id FROM (",
            $targets,
            ") AS targets JOIN interface ON interface.id = targets.id"
        ))
    };
}

/// The groups of the devices of clients.
macro_rules! groups_above_clients {
    ($targets:expr) => {
        groups_of_interfaces!(concat!(
            "SELECT DISTINCT client.interface_id AS id FROM (",
            $targets,
            ") AS clients JOIN client ON client.id = clients.id WHERE client.interface_id IS NOT NULL"
        ))
    };
}

/// The groups of the devices of clients, and their own groups. Of the former no clients are run on.
macro_rules! groups_of_clients {
    ($targets:expr) => {
        insert_groups!(
            "SELECT id, sum(clients) > 0 AND sum(clients) = (SELECT count(*) FROM client WHERE client.group_id = counted.id) AS whole \
             FROM (SELECT client.group_id AS id, 1 AS clients FROM (",
            $targets,
            ") AS chosen JOIN client ON client.id = chosen.id WHERE client.group_id IS NOT NULL \
             UNION ALL SELECT DISTINCT member.group_id AS id, 0 AS clients FROM (",
            $targets,
            ") AS chosen JOIN client ON client.id = chosen.id JOIN interface ON interface.id = client.interface_id \
                JOIN group_member AS member ON member.device_id = interface.device_id) AS counted GROUP BY id"
        )
    };
}

/// The groups of the execution `$2` that failed, and those with devices that did.
macro_rules! groups_again {
    () => {
        insert_groups!(
            "SELECT element.entity_id AS id, element.whole FROM element \
             WHERE element.execution = $2 AND element.entity_type = 'GROUP' AND (",
            failed!(),
            " OR ",
            fleet_failed!(),
            " OR element.entity_id IN (SELECT member.group_id FROM (",
            failed_connections!(),
            ") AS again JOIN device ON device.id = again.entity_id OR device.controller_id = again.entity_id \
                JOIN group_member AS member ON member.device_id = device.id))"
        )
    };
}

/// The devices that are connected to for the devices of targets, which `$devices` has once for each target. `$own` and `$behind` count what is
/// run on in all: of the device itself, if no other one is connected to for it, and of the devices behind it.
macro_rules! connections {
    ($devices:expr, $own:literal, $behind:literal) => {
        insert!(
            "DEVICE",
            "SELECT connection.id, connection.hostname AS name, connection.id AS device_id, connection.hostname, \
                count(*) = CASE WHEN connection.controller_id IS NULL THEN ",
            $own,
            " ELSE 0 END + ",
            $behind,
            " AS whole FROM (",
            $devices,
            " JOIN device AS connection ON connection.id = coalesce(device.controller_id, device.id) GROUP BY connection.id"
        )
    };
}

macro_rules! devices_of_fleet {
    ($targets:expr) => {
        devices_themselves!(concat!("SELECT id FROM device WHERE EXISTS (", $targets, ")"))
    };
}

macro_rules! devices_of_groups {
    ($targets:expr) => {
        devices_themselves!(members!($targets))
    };
}

/// The devices of groups.
macro_rules! members {
    ($targets:expr) => {
        concat!(
            "SELECT DISTINCT member.device_id AS id FROM (",
            $targets,
            ") AS targets JOIN group_member AS member ON member.group_id = targets.id"
        )
    };
}

macro_rules! devices_themselves {
    ($targets:expr) => {
        connections!(
            concat!($targets, ") AS chosen JOIN device ON device.id = chosen.id"),
            "1",
            "(SELECT count(*) FROM device AS behind WHERE behind.controller_id = connection.id)"
        )
    };
}

/// The devices of a sync, each by itself.
macro_rules! devices_of_sync {
    ($devices:expr) => {
        insert!(
            "DEVICE",
            "SELECT device.id, device.hostname AS name, device.id AS device_id, device.hostname, false AS whole FROM (",
            $devices,
            ") AS chosen JOIN device ON device.id = chosen.id"
        )
    };
}

macro_rules! devices_of_interfaces {
    ($targets:expr) => {
        connections!(
            concat!(
                $targets,
                ") AS chosen JOIN interface ON interface.id = chosen.id JOIN device ON device.id = interface.device_id"
            ),
            "(SELECT count(*) FROM interface WHERE interface.device_id = connection.id)",
            "(SELECT count(*) FROM device AS behind JOIN interface ON interface.device_id = behind.id \
                WHERE behind.controller_id = connection.id)"
        )
    };
}

macro_rules! devices_of_clients {
    ($targets:expr) => {
        connections!(
            concat!(
                $targets,
                ") AS chosen JOIN client ON client.id = chosen.id JOIN interface ON interface.id = client.interface_id \
                 JOIN device ON device.id = interface.device_id"
            ),
            "(SELECT count(*) FROM interface JOIN client ON client.interface_id = interface.id WHERE interface.device_id = connection.id)",
            "(SELECT count(*) FROM device AS behind JOIN interface ON interface.device_id = behind.id \
                JOIN client ON client.interface_id = interface.id WHERE behind.controller_id = connection.id)"
        )
    };
}

/// Targets of the execution `$1` are written down.
macro_rules! targets {
    ($targets:expr) => {
        concat!(
            "INSERT INTO execution_target (execution, entity_id) SELECT CAST($1 AS bigint), id FROM (",
            $targets,
            ") AS chosen"
        )
    };
}

macro_rules! members_as_targets {
    ($targets:expr) => {
        targets!(members!($targets))
    };
}

/// Clients that no element runs on: neither `$3`, those of interfaces are, nor `$4`, those of groups.
macro_rules! clients_without_parent {
    ($targets:expr) => {
        concat!(
            "INSERT INTO element (execution, entity_type, entity_id, name, state, outcome, ended_at, due_at, reason, message) \
             SELECT CAST($1 AS bigint), 'CLIENT', client.id, client.mac, 'FILTERED', 'skipped', {now}, {now}, 'no-parent', \
                'it has neither an interface nor a group on whose clients the provider runs' \
             FROM (",
            $targets,
            ") AS chosen JOIN client ON client.id = chosen.id \
             WHERE NOT (CAST($3 AS boolean) AND client.interface_id IS NOT NULL) \
                AND NOT (CAST($4 AS boolean) AND client.group_id IS NOT NULL) ORDER BY client.mac"
        )
    };
}

/// The statement that inserts the fleet.
pub(super) fn fleet(run_on: ExecuteOn, source: &ElementSource) -> Option<&'static str> {
    match source {
        ElementSource::FailedOf(_) => Some(fleet!(
            "SELECT 1 FROM element WHERE execution = $2 AND outcome = 'failed'"
        )),
        _ => of_targets!(run_on, source, fleet, fleet, fleet, fleet, fleet),
    }
}

/// The statement that inserts groups. `own`: also the groups of clients, of which these are run on.
pub(super) fn groups(run_on: ExecuteOn, source: &ElementSource, own: bool) -> Option<&'static str> {
    use ExecuteOn::{Client, Device, Global, Group, Interface};
    match (source, own) {
        (ElementSource::FailedOf(_), _) => Some(match run_on {
            Global | Group => groups_again!(),
            Device => groups_of_devices!(failed_devices!()),
            Interface => groups_of_interfaces!(failed_interfaces!()),
            Client if own => groups_of_clients!(failed_clients!()),
            Client => groups_above_clients!(failed_clients!()),
        }),
        (_, true) => of_targets!(
            run_on,
            source,
            groups_of_fleet,
            groups_themselves,
            groups_of_devices,
            groups_of_interfaces,
            groups_of_clients
        ),
        (_, false) => of_targets!(
            run_on,
            source,
            groups_of_fleet,
            groups_themselves,
            groups_of_devices,
            groups_of_interfaces,
            groups_above_clients
        ),
    }
}

/// The statement that inserts devices that are connected to.
pub(super) fn devices(run_on: ExecuteOn, source: &ElementSource) -> Option<&'static str> {
    use ExecuteOn::{Client, Device, Global, Group, Interface};
    match source {
        ElementSource::FailedOf(_) => Some(match run_on {
            Global | Group | Device => devices_themselves!(failed_devices!()),
            Interface => devices_of_interfaces!(failed_interfaces!()),
            Client => devices_of_clients!(failed_clients!()),
        }),
        ElementSource::Sync(sync) => Some(match (&sync.devices, sync.bound) {
            (SyncDevices::Target { target, .. }, _) => match target {
                SyncTarget::Hostname(_) => devices_of_sync!(sync_target!("device.hostname = given.name")),
                SyncTarget::DeviceType(_) => {
                    devices_of_sync!(sync_target!("device.device_type = given.name"))
                }
                SyncTarget::Group(group) if group.as_str() != DEFAULT_GROUP => {
                    devices_of_sync!(sync_target!(
                        "device.id IN (SELECT member.device_id FROM device_group \
                            JOIN group_member AS member ON member.group_id = device_group.id WHERE device_group.name = given.name)"
                    ))
                }
                SyncTarget::All | SyncTarget::Group(_) => {
                    devices_of_sync!(sync_target!("given.name IS NULL"))
                }
            },
            (SyncDevices::FailedOf(_), _) => devices_of_sync!(failed_of_sync!()),
            (SyncDevices::Bound, SyncBound::PreviousOf(_)) => devices_of_sync!(pushed_devices!()),
            (SyncDevices::Bound, _) => devices_of_sync!(planned_devices!()),
        }),
        _ => of_targets!(
            run_on,
            source,
            devices_of_fleet,
            devices_of_groups,
            devices_themselves,
            devices_of_interfaces,
            devices_of_clients
        ),
    }
}

/// The statement that writes targets down.
pub(super) fn targets(run_on: ExecuteOn, source: &ElementSource) -> Option<&'static str> {
    use ExecuteOn::{Client, Device, Global, Group, Interface};
    match source {
        ElementSource::FailedOf(_) => Some(match run_on {
            Global | Group | Device => targets!(failed_devices!()),
            Interface => targets!(failed_interfaces!()),
            Client => targets!(failed_clients!()),
        }),
        // Of the whole fleet and of all entities, each element runs on all below it.
        ElementSource::Global | ElementSource::All | ElementSource::Sync(_) => None,
        ElementSource::Of { .. } if run_on == Global => None,
        ElementSource::Of { .. } => of_targets!(
            run_on,
            source,
            targets,
            members_as_targets,
            targets,
            targets,
            targets
        ),
    }
}

/// The statement that inserts clients that no element runs on.
pub(super) fn clients(run_on: ExecuteOn, source: &ElementSource) -> Option<&'static str> {
    match run_on {
        ExecuteOn::Client => of_targets!(
            run_on,
            source,
            clients_without_parent,
            clients_without_parent,
            clients_without_parent,
            clients_without_parent,
            clients_without_parent
        ),
        _ => None,
    }
}

/// An execution that has elements which do not run on all below them.
pub(super) const PARTLY: &str = "\
    SELECT 1 FROM element WHERE execution = $1 AND outcome = 'open' AND NOT whole \
        AND (entity_type = 'DEVICE' OR entity_type = 'GROUP' AND CAST($2 AS boolean)) LIMIT 1";

/// All statements, for the test of their plans.
#[cfg(test)]
pub(super) fn statements(run_on: ExecuteOn, source: &ElementSource) -> Vec<&'static str> {
    let all = [
        fleet(run_on, source),
        groups(run_on, source, true),
        groups(run_on, source, false),
        devices(run_on, source),
        targets(run_on, source),
        clients(run_on, source),
        Some(PARTLY),
    ];
    all.into_iter().flatten().collect()
}
