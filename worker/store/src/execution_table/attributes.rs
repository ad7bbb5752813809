//! The attributes of entities, as providers see them.

use lockstep_protocol::EntityType;
use serde_json::{Map, Value as Json, json};

use super::READ;
use crate::sql::{Row, SqlDatabase};
use crate::{StoreError, column};

/// A row for each group of the device, and one for a device without groups.
const DEVICE: &str = "\
    SELECT device.id, device.hostname, device.device_type, device.platform, CAST(device.management_ip AS text), device.mac, device.serial, \
        device.vendor, device.model, device.os_version, device.state, device.synced_generation = device.desired_generation, \
        controller.hostname, device_group.name, device.data \
    FROM device LEFT JOIN device AS controller ON controller.id = device.controller_id \
        LEFT JOIN group_member AS member ON member.device_id = device.id \
        LEFT JOIN device_group ON device_group.id = member.group_id \
    WHERE device.id = $1 ORDER BY device_group.name";

const GROUP: &str = "SELECT id, name, location FROM device_group WHERE id = $1";

/// A row for each neighbour of the interface, and one for an interface without neighbours.
const INTERFACE: &str = "\
    SELECT interface.id, interface.name, device.hostname, interface.configuration, there.hostname, peer.name \
    FROM interface JOIN device ON device.id = interface.device_id \
        LEFT JOIN (SELECT other_id AS id FROM linknet WHERE one_id = $1 AND present UNION ALL SELECT one_id FROM linknet WHERE other_id = $1 AND present) AS link \
            ON true \
        LEFT JOIN interface AS peer ON peer.id = link.id LEFT JOIN device AS there ON there.id = peer.device_id \
    WHERE interface.id = $1 ORDER BY there.hostname, peer.name";

const CLIENT: &str = "\
    SELECT client.id, client.mac, client.name, CAST(client.ip AS text), interface.name, device.hostname, device_group.name \
    FROM client LEFT JOIN interface ON interface.id = client.interface_id LEFT JOIN device ON device.id = interface.device_id \
        LEFT JOIN device_group ON device_group.id = client.group_id \
    WHERE client.id = $1";

/// Reads the attributes from the first row, and from all rows.
type Read = fn(&Row, &[Row]) -> Result<Json, StoreError>;

pub(super) async fn read<D: SqlDatabase>(
    database: &D,
    entity_type: EntityType,
    entity: u64,
) -> Result<Option<Json>, StoreError> {
    let (statement, read): (_, Read) = match entity_type {
        EntityType::Global => return Ok(Some(json!({ "name": "fleet" }))),
        EntityType::Item => return Ok(None),
        EntityType::Device => (DEVICE, read_device),
        EntityType::Group => (GROUP, |row, _| read_group(row)),
        EntityType::Interface => (INTERFACE, read_interface),
        EntityType::Client => (CLIENT, |row, _| read_client(row)),
    };
    let rows = database
        .read_planned_for_now(READ, statement, vec![entity.into()])
        .await?;
    rows.first().map(|row| read(row, &rows)).transpose()
}

fn read_device(row: &Row, rows: &[Row]) -> Result<Json, StoreError> {
    let mut attributes = Map::new();
    attributes.insert("id".to_owned(), row.number::<u64>("device.id", 0)?.into());
    let texts = [
        ("hostname", 1),
        ("device_type", 2),
        ("platform", 3),
        ("mac", 5),
        ("serial", 6),
        ("vendor", 7),
        ("model", 8),
        ("os_version", 9),
        ("state", 10),
        ("controller", 12),
    ];
    for (name, index) in texts {
        attributes.insert(name.to_owned(), row.optional_text(name, index)?.into());
    }
    let management_ip = row.optional_address("device.management_ip", 4)?;
    let groups = rows
        .iter()
        .filter_map(|row| row.optional_text("device_group.name", 13).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    attributes.insert("management_ip".to_owned(), json!(management_ip));
    let data = row.optional_text("device.data", 14)?;
    let data = data.map(|data| column::json::<Map<String, Json>>("device.data", &data));
    attributes.insert("data".to_owned(), data.transpose()?.unwrap_or_default().into());
    attributes.insert(
        "synchronized".to_owned(),
        row.boolean("device.synced", 11)?.into(),
    );
    attributes.insert("groups".to_owned(), groups.into());
    Ok(attributes.into())
}

fn read_group(row: &Row) -> Result<Json, StoreError> {
    let location = row.optional_boolean("device_group.location", 2)?;
    Ok(json!({
        "id": row.number::<u64>("device_group.id", 0)?,
        "name": row.text("device_group.name", 1)?,
        "location": location,
    }))
}

fn read_interface(row: &Row, rows: &[Row]) -> Result<Json, StoreError> {
    let configuration = row.optional_text("interface.configuration", 3)?;
    let configuration = configuration.map(|text| column::json::<Json>("interface.configuration", &text));
    let mut neighbours = Vec::new();
    for row in rows {
        if let Some(device) = row.optional_text("device.hostname", 4)? {
            neighbours.push(json!({ "device": device, "interface": row.text("interface.name", 5)? }));
        }
    }
    Ok(json!({
        "id": row.number::<u64>("interface.id", 0)?,
        "name": row.text("interface.name", 1)?,
        "device": row.text("device.hostname", 2)?,
        "configuration": configuration.transpose()?,
        "neighbours": neighbours,
    }))
}

fn read_client(row: &Row) -> Result<Json, StoreError> {
    Ok(json!({
        "id": row.number::<u64>("client.id", 0)?,
        "mac": row.text("client.mac", 1)?,
        "name": row.optional_text("client.name", 2)?,
        "ip": row.optional_address("client.ip", 3)?,
        "interface": row.optional_text("interface.name", 4)?,
        "device": row.optional_text("device.hostname", 5)?,
        "group": row.optional_text("device_group.name", 6)?,
    }))
}

/// For the test of their plans.
#[cfg(test)]
pub(super) const STATEMENTS: &[&str] = &[DEVICE, GROUP, INTERFACE, CLIENT];
