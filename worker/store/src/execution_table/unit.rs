//! The entities that an element runs on.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{EntityType, GroupName, Level};
use serde_json::Value as Json;

use super::READ;
use super::endpoint::{self, endpoint_column};
use crate::sql::{Row, SqlDatabase, Value};
use crate::{StoreError, UnitDevice, UnitEntities, UnitEntity, UnitLevels, column};

/// Whether an entity is among the targets that are written down.
macro_rules! is_target {
    ($id:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM execution_target AS target WHERE target.execution = self.execution AND target.entity_id = ",
            $id,
            ")"
        )
    };
}

/// The result of the pre-run step of an entity in a phase, unless it failed.
macro_rules! pre_run {
    ($level:literal, $id:literal, $phase:literal) => {
        concat!(
            "(SELECT result.pre_run FROM entity_result AS result WHERE result.execution = self.execution \
                AND result.phase = CAST(",
            $phase,
            " AS integer) AND result.level = '",
            $level,
            "' AND result.entity_id = ",
            $id,
            " AND result.state IN ('PENDING', 'SUCCESSFUL'))"
        )
    };
}

/// One statement, so that it is one snapshot. Each row is an entity: its kind, its id, that of its parent, its name. The targets of the
/// element bound the entities of the kind that its execution runs on; of those above this kind, some may be above no target.
const UNIT: &str = concat!(
    "WITH self AS (SELECT element.execution, element.entity_type, element.entity_id, element.name, element.whole, execution.run_on \
        FROM element JOIN execution ON execution.number = element.execution WHERE element.number = $1), \
     connection AS (SELECT device.id, device.hostname AS name, CAST(device.management_ip AS text) AS address, device.platform, ",
    endpoint_column!(),
    " AS data FROM self JOIN device ON device.id = self.entity_id WHERE self.entity_type = 'DEVICE'), \
     own AS (SELECT device.id, device.hostname AS name, CAST(device.management_ip AS text) AS address, device.platform, ",
    endpoint_column!(),
    " AS data FROM self JOIN device ON device.controller_id = self.entity_id OR device.id = self.entity_id AND device.controller_id IS NULL \
        WHERE self.entity_type = 'DEVICE' AND (self.whole OR self.run_on IN ('INTERFACE', 'CLIENT') OR ",
    is_target!("device.id"),
    ")), \
     port AS (SELECT interface.id, interface.device_id, interface.name \
        FROM self CROSS JOIN own JOIN interface ON interface.device_id = own.id \
        WHERE (CAST($2 AS boolean) OR self.run_on IN ('INTERFACE', 'CLIENT')) AND (self.whole OR self.run_on <> 'INTERFACE' OR ",
    is_target!("interface.id"),
    ")) \
     SELECT 'SELF' AS kind, entity_id AS id, CAST(NULL AS bigint) AS parent, name, entity_type AS one, run_on AS other, NULL AS data FROM self \
     UNION ALL SELECT 'NORNIR_DEVICE', id, NULL, name, address, platform, data FROM connection \
     UNION ALL SELECT 'DEVICE', id, NULL, name, address, platform, data FROM own \
     UNION ALL SELECT 'INTERFACE', id, device_id, name, NULL, NULL, NULL FROM port \
     UNION ALL SELECT 'INTERFACE_CLIENT', client.id, client.interface_id, client.mac, NULL, NULL, NULL \
        FROM self CROSS JOIN port JOIN client ON client.interface_id = port.id \
        WHERE (CAST($3 AS boolean) OR self.run_on = 'CLIENT') AND (self.whole OR self.run_on <> 'CLIENT' OR ",
    is_target!("client.id"),
    ") UNION ALL SELECT 'GROUP_CLIENT', client.id, client.group_id, client.mac, NULL, NULL, NULL \
        FROM self JOIN client ON client.group_id = self.entity_id \
        WHERE CAST($3 AS boolean) AND self.entity_type = 'GROUP' AND (self.whole OR self.run_on = 'CLIENT' AND ",
    is_target!("client.id"),
    ") UNION ALL SELECT 'MEMBER', device_group.id, near.id, device_group.name, ",
    pre_run!("GROUP", "device_group.id", "$4"),
    ", NULL, NULL FROM self CROSS JOIN (SELECT id FROM connection UNION SELECT id FROM own) AS near \
        JOIN group_member AS member ON member.device_id = near.id JOIN device_group ON device_group.id = member.group_id \
     UNION ALL SELECT 'FLEET', 0, NULL, 'fleet', ",
    pre_run!("GLOBAL", "0", "$4"),
    ", NULL, NULL FROM self"
);

/// What is above an item: the fleet. The statement of units takes the database several times as long to plan.
const ABOVE_ITEM: &str = concat!(
    "SELECT ",
    pre_run!("GLOBAL", "0", "$1"),
    " FROM element AS self WHERE self.number = $2"
);

pub(super) async fn read<D: SqlDatabase>(
    database: &D,
    element: u64,
    levels: UnitLevels,
) -> Result<UnitEntities, StoreError> {
    if levels.item {
        return read_above_item(database, element, levels).await;
    }
    let parameters: Vec<Value> = vec![
        element.into(),
        (levels.interfaces || levels.clients).into(),
        levels.clients.into(),
        levels.above.map(u32::from).into(),
    ];
    let rows = database.read_planned_for_now(READ, UNIT, parameters).await?;
    let mut found = Found::default();
    let mut itself = None;
    for row in &rows {
        match &*row.text("kind", 0)? {
            "SELF" => itself = Some(Itself::read(row)?),
            kind => found.add(kind, row)?,
        }
    }
    itself.map_or(Ok(UnitEntities::default()), |itself| {
        Ok(found.unit(&itself, levels))
    })
}

async fn read_above_item<D: SqlDatabase>(
    database: &D,
    element: u64,
    levels: UnitLevels,
) -> Result<UnitEntities, StoreError> {
    let parameters: Vec<Value> = vec![levels.above.map(u32::from).into(), element.into()];
    let rows = database
        .read_planned_for_now(READ, ABOVE_ITEM, parameters)
        .await?;
    let mut unit = UnitEntities::default();
    if let (Some(row), Some(_)) = (rows.first(), levels.above) {
        let found = Found {
            fleet: pre_run(row, 0)?,
            ..Found::default()
        };
        unit.above = found.above(&BTreeSet::new());
    }
    Ok(unit)
}

/// The result of a pre-run step.
fn pre_run(row: &Row, index: usize) -> Result<Json, StoreError> {
    let text = row.optional_text("entity_result.pre_run", index)?;
    text.map_or(Ok(Json::Null), |text| {
        column::json("entity_result.pre_run", &text)
    })
}

/// What the row of the element says.
struct Itself {
    entity_type: EntityType,
    id: u64,
    name: String,
    run_on: ExecuteOn,
}

impl Itself {
    fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            entity_type: column::word("element.entity_type", &row.text("element.entity_type", 4)?)?,
            id: row.number("element.entity_id", 1)?,
            name: row.text("element.name", 3)?,
            run_on: column::word("execution.run_on", &row.text("execution.run_on", 5)?)?,
        })
    }

    fn entity(&self) -> FoundEntity {
        FoundEntity {
            id: self.id,
            name: self.name.clone(),
            device: None,
        }
    }
}

/// An entity as it was read.
struct FoundEntity {
    id: u64,
    name: String,
    device: Option<UnitDevice>,
}

/// The entities that were read, in no order.
#[derive(Default)]
struct Found {
    connection: Option<FoundEntity>,
    devices: Vec<FoundEntity>,
    /// By their device.
    interfaces: BTreeMap<u64, Vec<FoundEntity>>,
    /// By their interface, or their group.
    clients: BTreeMap<u64, Vec<FoundEntity>>,
    /// The groups of each device.
    members: BTreeMap<u64, BTreeSet<GroupName>>,
    /// The groups of all devices, by name, with their pre-run results.
    groups: BTreeMap<String, (u64, Json)>,
    fleet: Json,
}

impl Found {
    fn add(&mut self, kind: &str, row: &Row) -> Result<(), StoreError> {
        let id = row.number("id", 1)?;
        let name = row.text("name", 3)?;
        let parent = || row.number("parent", 2);
        let entity = |device| FoundEntity {
            id,
            name: name.clone(),
            device,
        };
        let device = || -> Result<UnitDevice, StoreError> {
            Ok(UnitDevice {
                hostname: column::name("device.hostname", name.clone())?,
                management_ip: row.optional_address("device.management_ip", 4)?,
                endpoint: endpoint::read(row, 6)?,
                platform: row.optional_text("device.platform", 5)?,
                groups: Vec::new(),
            })
        };
        match kind {
            "NORNIR_DEVICE" => self.connection = Some(entity(Some(device()?))),
            "DEVICE" => self.devices.push(entity(Some(device()?))),
            "INTERFACE" => self.interfaces.entry(parent()?).or_default().push(entity(None)),
            "INTERFACE_CLIENT" | "GROUP_CLIENT" => {
                self.clients.entry(parent()?).or_default().push(entity(None));
            }
            "MEMBER" => {
                let group = column::name("device_group.name", name.clone())?;
                self.members.entry(parent()?).or_default().insert(group);
                self.groups.insert(name.clone(), (id, pre_run(row, 4)?));
            }
            _ => self.fleet = pre_run(row, 4)?,
        }
        Ok(())
    }

    fn unit(mut self, itself: &Itself, levels: UnitLevels) -> UnitEntities {
        self.drop_what_is_above_no_target(itself.run_on);
        let devices = self
            .devices
            .iter()
            .filter_map(|device| self.members.get(&device.id));
        let groups: BTreeSet<GroupName> = devices.flatten().cloned().collect();
        let mut unit = Unit::default();
        match itself.entity_type {
            EntityType::Group => {
                let group = unit.add(None, Level::Group, itself.entity());
                self.add_clients(&mut unit, group, Level::GroupClient, itself.id);
            }
            EntityType::Device => self.add_devices(&mut unit, levels),
            // They are all that is run on.
            EntityType::Global | EntityType::Interface | EntityType::Client | EntityType::Item => {}
        }
        if levels.above.is_some() && itself.entity_type != EntityType::Global {
            unit.0.above = self.above(&groups);
        }
        unit.0
    }

    /// Entities above the kind that is run on are there for those below them.
    fn drop_what_is_above_no_target(&mut self, run_on: ExecuteOn) {
        if run_on == ExecuteOn::Client {
            for interfaces in self.interfaces.values_mut() {
                interfaces.retain(|interface| self.clients.contains_key(&interface.id));
            }
            self.interfaces.retain(|_, interfaces| !interfaces.is_empty());
        }
        if matches!(run_on, ExecuteOn::Client | ExecuteOn::Interface) {
            self.devices
                .retain(|device| self.interfaces.contains_key(&device.id));
        }
    }

    fn add_devices(&mut self, unit: &mut Unit, levels: UnitLevels) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let connection = self.with_groups(connection);
        let root = unit.add(None, Level::NornirDevice, connection);
        for device in sorted(std::mem::take(&mut self.devices)) {
            let id = device.id;
            let device = self.with_groups(device);
            let device = unit.add(Some(root), Level::Device, device);
            if !levels.interfaces && !levels.clients {
                continue;
            }
            for interface in sorted(self.interfaces.remove(&id).unwrap_or_default()) {
                let id = interface.id;
                let interface = unit.add(Some(device), Level::Interface, interface);
                if levels.clients {
                    self.add_clients(unit, interface, Level::InterfaceClient, id);
                }
            }
        }
    }

    fn add_clients(&mut self, unit: &mut Unit, parent: usize, level: Level, of: u64) {
        for client in sorted(self.clients.remove(&of).unwrap_or_default()) {
            unit.add(Some(parent), level, client);
        }
    }

    fn with_groups(&self, mut entity: FoundEntity) -> FoundEntity {
        if let (Some(device), Some(groups)) = (&mut entity.device, self.members.get(&entity.id)) {
            device.groups = groups.iter().cloned().collect();
        }
        entity
    }

    /// The fleet, and these groups.
    fn above(mut self, groups: &BTreeSet<GroupName>) -> Vec<(UnitEntity, Json)> {
        let entity = |level, id, name| UnitEntity {
            level,
            id,
            name,
            parent: None,
            device: None,
        };
        let fleet = (entity(Level::Global, 0, "fleet".to_owned()), self.fleet);
        let groups = groups
            .iter()
            .filter_map(|group| self.groups.remove_entry(group.as_str()));
        let groups = groups.map(|(name, (id, pre_run))| (entity(Level::Group, id, name), pre_run));
        [fleet].into_iter().chain(groups).collect()
    }
}

/// A unit to which entities are added.
#[derive(Default)]
struct Unit(UnitEntities);

impl Unit {
    /// Adds an entity. Returns its index.
    fn add(&mut self, parent: Option<usize>, level: Level, entity: FoundEntity) -> usize {
        self.0.entities.push(UnitEntity {
            level,
            id: entity.id,
            name: entity.name,
            parent,
            device: entity.device,
        });
        self.0.entities.len() - 1
    }
}

fn sorted(mut entities: Vec<FoundEntity>) -> Vec<FoundEntity> {
    entities.sort_by(|one, other| (&one.name, one.id).cmp(&(&other.name, other.id)));
    entities
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[UNIT, ABOVE_ITEM];
