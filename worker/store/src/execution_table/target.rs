//! The targets of an execution: selections of the ids of entities, as parts of statements. `$2` is the list of ids that were given, or
//! the execution of which is repeated what failed, or null: PostgreSQL needs the type of each parameter.

/// All ids.
macro_rules! all {
    ($table:literal) => {
        concat!("SELECT id FROM ", $table, " WHERE CAST($2 AS text) IS NULL")
    };
}

/// The ids in `$2`.
macro_rules! given {
    () => {
        related!("given.id", "")
    };
}

/// Entities that are related to those with the ids in `$2`.
macro_rules! related {
    ($id:literal, $joins:literal) => {
        concat!(
            "SELECT DISTINCT ",
            $id,
            " AS id FROM {rows $2: id bigint} AS given",
            $joins
        )
    };
}

macro_rules! both {
    ($one:expr, $other:expr) => {
        concat!($one, " UNION ", $other)
    };
}

/// The statement for a source: the macro of the kind that the execution runs on, of the selection of its targets. A client without an
/// interface stands for the devices of its group, and one without a group for the groups of its device. `None` if no entity of this kind
/// comes from the source.
macro_rules! of_targets {
    ($run_on:expr, $source:expr, $fleet:ident, $groups:ident, $devices:ident, $interfaces:ident, $clients:ident) => {
        match $run_on {
            ExecuteOn::Global => match $source {
                ElementSource::Global | ElementSource::All => Some($fleet!("SELECT 1 AS id WHERE CAST($2 AS text) IS NULL")),
                ElementSource::Of { .. } => Some($fleet!(given!())),
                ElementSource::FailedOf(_) | ElementSource::Sync(_) => None,
            },
            ExecuteOn::Group => from_source!($source, $groups,
                all: all!("device_group"),
                group: given!(),
                device: related!("member.group_id", " JOIN group_member AS member ON member.device_id = given.id"),
                interface: related!(
                    "member.group_id",
                    " JOIN interface ON interface.id = given.id \
                      JOIN group_member AS member ON member.device_id = interface.device_id"
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
            ExecuteOn::Device => from_source!($source, $devices,
                all: all!("device"),
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
            ExecuteOn::Interface => from_source!($source, $interfaces,
                all: all!("interface"),
                group: related!(
                    "interface.id",
                    " JOIN group_member AS member ON member.group_id = given.id \
                      JOIN interface ON interface.device_id = member.device_id"
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
            ExecuteOn::Client => from_source!($source, $clients,
                all: all!("client"),
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
    };
}

macro_rules! from_source {
    ($source:expr, $statement:ident, all: $all:expr, group: $group:expr, device: $device:expr, interface: $interface:expr,
        client: $client:expr) => {
        match $source {
            ElementSource::All => Some($statement!($all)),
            ElementSource::Of { entity_type, .. } => match entity_type {
                ExecuteOn::Group => Some($statement!($group)),
                ExecuteOn::Device => Some($statement!($device)),
                ExecuteOn::Interface => Some($statement!($interface)),
                ExecuteOn::Client => Some($statement!($client)),
                ExecuteOn::Global => None,
            },
            ElementSource::Global | ElementSource::FailedOf(_) | ElementSource::Sync(_) => None,
        }
    };
}

/// Whether an element is to be repeated for itself: it failed, or was skipped because something above it failed.
macro_rules! failed {
    () => {
        "(element.outcome = 'failed' OR element.outcome = 'skipped' AND element.reason = 'parent-failed')"
    };
}

/// Whether the fleet failed in the execution `$2`: then all of it is repeated.
macro_rules! fleet_failed {
    () => {
        "EXISTS (SELECT 1 FROM element AS fleet \
            WHERE fleet.execution = $2 AND fleet.outcome = 'failed' AND fleet.entity_type = 'GLOBAL')"
    };
}

/// The elements of devices that are repeated: they failed, or the fleet or one of their groups did.
macro_rules! failed_connections {
    () => {
        concat!(
            "SELECT element.number, element.entity_id, element.whole FROM element \
             WHERE element.execution = $2 AND element.entity_type = 'DEVICE' AND (",
            failed!(),
            " OR ",
            fleet_failed!(),
            " OR element.entity_id IN (SELECT coalesce(device.controller_id, device.id) FROM element AS parent \
                JOIN group_member AS member ON member.group_id = parent.entity_id JOIN device ON device.id = member.device_id \
                WHERE parent.execution = $2 AND parent.outcome = 'failed' AND parent.entity_type = 'GROUP'))"
        )
    };
}

/// The results at a level by which an entity is repeated.
macro_rules! failed_results {
    ($levels:literal) => {
        concat!(
            "result.level IN (",
            $levels,
            ") AND (result.state IN ('FAILED', 'PARTIAL_FAILED', 'PRECHECK_FAILED', 'POSTCHECK_FAILED') \
                OR result.state = 'FILTERED' AND result.reason = 'parent-failed')"
        )
    };
}

/// The entities at a level that are repeated: those that failed themselves, and of elements without any such the targets of the element,
/// which are `$targets` of `again`.
macro_rules! failed_entities {
    ($levels:literal, $id:literal, $again:expr, $targets:literal) => {
        concat!(
            "SELECT result.entity_id AS id FROM entity_result AS result WHERE result.execution = $2 AND ",
            failed_results!($levels),
            " UNION SELECT ",
            $id,
            " AS id FROM (",
            $again,
            ") AS again",
            $targets,
            " WHERE (again.whole OR EXISTS (SELECT 1 FROM execution_target AS target WHERE target.execution = $2 AND target.entity_id = ",
            $id,
            ")) AND NOT EXISTS (SELECT 1 FROM entity_result AS result WHERE result.element = again.number AND ",
            failed_results!($levels),
            ")"
        )
    };
}

macro_rules! failed_devices {
    () => {
        failed_entities!(
            "'DEVICE'",
            "device.id",
            failed_connections!(),
            " JOIN device ON device.id = again.entity_id OR device.controller_id = again.entity_id"
        )
    };
}

macro_rules! failed_interfaces {
    () => {
        failed_entities!(
            "'INTERFACE'",
            "interface.id",
            failed_connections!(),
            " JOIN device ON device.id = again.entity_id OR device.controller_id = again.entity_id \
              JOIN interface ON interface.device_id = device.id"
        )
    };
}

macro_rules! failed_clients {
    () => {
        both!(
            failed_entities!(
                "'INTERFACE_CLIENT'",
                "client.id",
                failed_connections!(),
                " JOIN device ON device.id = again.entity_id OR device.controller_id = again.entity_id \
                  JOIN interface ON interface.device_id = device.id JOIN client ON client.interface_id = interface.id"
            ),
            failed_entities!(
                "'GROUP_CLIENT'",
                "client.id",
                failed_groups!(),
                " JOIN client ON client.group_id = again.entity_id"
            )
        )
    };
}

/// The elements of groups that are repeated: they failed, or the fleet or one of their devices did.
macro_rules! failed_groups {
    () => {
        concat!(
            "SELECT element.number, element.entity_id, element.whole FROM element \
             WHERE element.execution = $2 AND element.entity_type = 'GROUP' AND (",
            failed!(),
            " OR ",
            fleet_failed!(),
            ")"
        )
    };
}

/// The MANAGED devices of the target of a sync; `$2` is one row with the name of the target and whether synchronized devices are among
/// them. The same rule as `lockstep_intent::fleet::selects`.
macro_rules! sync_target {
    ($is_of_target:literal) => {
        concat!(
            "SELECT device.id FROM {rows $2: name text, synchronized boolean} AS given JOIN device ON ",
            $is_of_target,
            " WHERE device.state = 'MANAGED' AND (given.synchronized OR device.synced_generation <> device.desired_generation)"
        )
    };
}

/// The devices of the sync `$2` whose elements failed.
macro_rules! failed_of_sync {
    () => {
        concat!(
            "SELECT element.entity_id AS id FROM element WHERE element.execution = $2 AND ",
            failed!()
        )
    };
}

/// The devices that the plan `$2` would change.
macro_rules! planned_devices {
    () => {
        "SELECT planned.device_id AS id FROM sync_element AS planned JOIN element AS looked ON looked.number = planned.element \
         WHERE planned.execution = $2 AND looked.outcome = 'done' AND planned.hash IS NOT NULL AND planned.masked <> ''"
    };
}

/// The devices that the sync `$2` pushed to.
macro_rules! pushed_devices {
    () => {
        "SELECT pushed.device_id AS id FROM sync_element AS pushed WHERE pushed.execution = $2 AND pushed.previous IS NOT NULL"
    };
}

pub(super) use {
    all, both, failed, failed_clients, failed_connections, failed_devices, failed_entities, failed_groups,
    failed_interfaces, failed_of_sync, failed_results, fleet_failed, from_source, given, of_targets,
    planned_devices, pushed_devices, related, sync_target,
};
