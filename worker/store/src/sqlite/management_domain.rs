//! Reads and writes management domains.

use rusqlite::{Connection, Row, params};

use super::error::Failure;
use crate::{Facts, Keys, ManagementDomain, column};

const SELECT: &str = "\
    SELECT one.hostname, other.hostname, domain.one_address, domain.other_address, domain.ipv4_gateway, domain.ipv6_gateway, \
        domain.vlan, domain.description, domain.esi_mac, domain.version_time, domain.version_id \
    FROM management_domain AS domain LEFT JOIN device AS one ON one.id = domain.one_id AND domain.present \
        LEFT JOIN device AS other ON other.id = domain.other_id AND domain.present \
    WHERE domain.id = ?1";

/// An unknown name yields a null id, which the table refuses.
const UPSERT: &str = "\
    INSERT INTO management_domain (id, one_id, other_id, one_address, other_address, ipv4_gateway, ipv6_gateway, vlan, description, \
        esi_mac, present, removed_at, version_time, version_id) \
    VALUES (?1, (SELECT id FROM device WHERE hostname = ?2), (SELECT id FROM device WHERE hostname = ?3), ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
        ?11, CASE WHEN ?11 THEN NULL ELSE CAST(unixepoch('subsec') * 1000000 AS INTEGER) END, ?12, ?13) \
    ON CONFLICT (id) DO UPDATE SET one_id = excluded.one_id, other_id = excluded.other_id, one_address = excluded.one_address, \
        other_address = excluded.other_address, ipv4_gateway = excluded.ipv4_gateway, ipv6_gateway = excluded.ipv6_gateway, \
        vlan = excluded.vlan, description = excluded.description, esi_mac = excluded.esi_mac, present = excluded.present, \
        removed_at = excluded.removed_at, version_time = excluded.version_time, version_id = excluded.version_id";

/// Adds the domains that the keys name to the facts.
pub(super) fn read_facts(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Failure> {
    let mut select = connection.prepare_cached(SELECT)?;
    for id in &keys.management_domains {
        let mut rows = select.query([number(*id)])?;
        while let Some(row) = rows.next()? {
            let version = column::read_version(row.get(9)?, row.get(10)?)?;
            facts.add_management_domain(*id, read(*id, row)?, version);
        }
    }
    Ok(())
}

/// `None` for one that was removed.
fn read(id: u64, row: &Row<'_>) -> Result<Option<ManagementDomain>, Failure> {
    let optional = |index| row.get::<_, Option<String>>(index);
    let (Some(one), Some(other)) = (optional(0)?, optional(1)?) else {
        return Ok(None);
    };
    let vlan: Option<i64> = row.get(6)?;
    Ok(Some(ManagementDomain {
        id,
        devices: [
            column::name("device.hostname", one)?,
            column::name("device.hostname", other)?,
        ],
        addresses: [
            column::optional_word("management_domain.one_address", optional(2)?)?,
            column::optional_word("management_domain.other_address", optional(3)?)?,
        ],
        ipv4_gateway: optional(4)?,
        ipv6_gateway: optional(5)?,
        vlan: vlan
            .map(|vlan| column::number("management_domain.vlan", vlan))
            .transpose()?,
        description: optional(7)?,
        esi_mac: optional(8)?,
    }))
}

/// Writes changed domains. Runs when all devices are written.
pub(super) fn write(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut upsert = connection.prepare_cached(UPSERT)?;
    for (id, row) in facts.changed_management_domains() {
        let domain = row.domain.as_ref();
        let device = |index: usize| domain.map(|domain| domain.devices[index].as_str());
        let address = |index: usize| {
            domain
                .and_then(|domain| domain.addresses[index])
                .map(|ip| ip.to_string())
        };
        upsert.execute(params![
            number(id),
            device(0),
            device(1),
            address(0),
            address(1),
            domain.and_then(|domain| domain.ipv4_gateway.as_deref()),
            domain.and_then(|domain| domain.ipv6_gateway.as_deref()),
            domain.and_then(|domain| domain.vlan),
            domain.and_then(|domain| domain.description.as_deref()),
            domain.and_then(|domain| domain.esi_mac.as_deref()),
            domain.is_some(),
            row.version.as_ref().map(column::version_time),
            row.version.as_ref().map(|version| version.id.as_str()),
        ])?;
    }
    Ok(())
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
