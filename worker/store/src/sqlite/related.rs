//! Reads and writes the rows related to devices: groups, interfaces, links and clients. Statements refer to devices and groups
//! by name. An unknown name yields a null id, which the table refuses, so that no row is skipped silently.

use std::collections::BTreeSet;

use lockstep_protocol::{Hostname, InterfaceAddress};
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Failure;
use super::{cause, device, management_domain};
use crate::neighbor::{self, Neighbor};
use crate::{CauseId, Facts, FormerHostname, Keys, Link, LinkEnd, LinkRow, column, merged};

/// Finds links by either end.
const SELECT_LINKS: &str = "\
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id, \
        linknet.added_time, linknet.added_id, linknet.one_address, linknet.other_address, linknet.addressed_time, linknet.addressed_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.one_id = port.id \
        JOIN interface peer ON peer.id = linknet.other_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ?1 \
    UNION ALL \
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id, \
        linknet.added_time, linknet.added_id, linknet.other_address, linknet.one_address, linknet.addressed_time, linknet.addressed_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.other_id = port.id \
        JOIN interface peer ON peer.id = linknet.one_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ?1";

const SELECT_FORMER: &str = "\
    SELECT hostname, (SELECT device.hostname FROM device WHERE device.id = former_hostname.device_id), version_time, version_id \
    FROM former_hostname WHERE folded = ?1";

/// Interfaces that may name a device as their neighbour. It reads all interfaces.
const SELECT_NEIGHBORS: &str = "\
    SELECT device.hostname, interface.configuration FROM interface JOIN device ON device.id = interface.device_id \
    WHERE interface.configuration LIKE '%\"neighbor\"%' AND instr(interface.configuration, ?1)";

/// Reads the owners of MAC addresses and serial numbers, other spellings of hostnames that no device has, former hostnames, neighbours,
/// open causes, what the inventory says about devices, management domains and links, and adds them to the facts.
pub(super) fn read_facts(connection: &Connection, keys: &Keys, facts: &mut Facts) -> Result<(), Failure> {
    let mut owner = connection.prepare_cached("SELECT hostname FROM device WHERE mac = ?1")?;
    for mac in &keys.macs {
        let found: Option<String> = owner.query_row([mac.as_str()], |row| row.get(0)).optional()?;
        if let Some(hostname) = found {
            facts.add_mac(mac.clone(), column::name("device.hostname", hostname)?);
        }
    }
    let mut owner = connection.prepare_cached("SELECT hostname FROM device WHERE serial = ?1")?;
    for serial in &keys.serials {
        let found: Option<String> = owner.query_row([serial.as_str()], |row| row.get(0)).optional()?;
        if let Some(hostname) = found {
            facts.add_serial(serial.clone(), column::name("device.hostname", hostname)?);
        }
    }
    let mut spellings =
        connection.prepare_cached("SELECT hostname FROM device WHERE hostname_folded = ?1")?;
    for hostname in &keys.hostnames {
        if facts.device(hostname).is_none() {
            let found: Option<String> = spellings
                .query_row([hostname.folded()], |row| row.get(0))
                .optional()?;
            if let Some(spelling) = found {
                facts.add_spelling(column::name("device.hostname", spelling)?);
            }
            read_former(connection, hostname, facts)?;
        }
    }
    for Neighbor { of, hostname } in neighbors(connection, &keys.neighbors_of)? {
        facts.add_neighbor_by_configuration(of, hostname);
    }
    for hostname in &keys.causes_of {
        for id in device::open_causes(connection, hostname)? {
            if let Some(row) = cause::find(connection, CauseId(id))? {
                facts.add_open_cause(hostname.clone(), row);
            }
        }
    }
    let mut data =
        connection.prepare_cached("SELECT data FROM device WHERE hostname = ?1 AND data IS NOT NULL")?;
    for hostname in &keys.data_of {
        let found: Option<String> = data.query_row([hostname.as_str()], |row| row.get(0)).optional()?;
        if let Some(text) = found {
            facts.add_data(hostname, column::read_data(&text)?);
        }
    }
    management_domain::read_facts(connection, keys, facts)?;
    let mut links = connection.prepare_cached(SELECT_LINKS)?;
    for hostname in keys.devices_with_links() {
        let mut rows = links.query([hostname.as_str()])?;
        while let Some(row) = rows.next()? {
            let end = |first| -> Result<LinkEnd, Failure> {
                Ok(LinkEnd {
                    hostname: column::name("device.hostname", row.get(first)?)?,
                    interface: column::name("interface.name", row.get(first + 1)?)?,
                })
            };
            let address = |index| -> Result<_, Failure> {
                Ok(column::optional_name("linknet.address", row.get(index)?)?)
            };
            let (link, addresses) = Link::with_addresses((end(0)?, address(9)?), (end(2)?, address(10)?));
            let stored = LinkRow {
                present: row.get(4)?,
                version: column::read_version(row.get(5)?, row.get(6)?)?,
                added: column::read_version(row.get(7)?, row.get(8)?)?,
                addresses,
                addressed: column::read_version(row.get(11)?, row.get(12)?)?,
                changed: false,
            };
            facts.add_link_row(link, stored);
        }
    }
    Ok(())
}

fn read_former(connection: &Connection, hostname: &Hostname, facts: &mut Facts) -> Result<(), Failure> {
    let mut select = connection.prepare_cached(SELECT_FORMER)?;
    let mut rows = select.query([hostname.folded()])?;
    while let Some(row) = rows.next()? {
        if let Some(version) = column::read_version(row.get(2)?, row.get(3)?)? {
            facts.add_former_hostname(FormerHostname {
                hostname: column::name("former_hostname.hostname", row.get(0)?)?,
                current: column::optional_name("device.hostname", row.get(1)?)?,
                version,
            });
        }
    }
    Ok(())
}

/// The devices one of whose interfaces names one of these as its neighbour, each with that one.
fn neighbors(connection: &Connection, of: &BTreeSet<Hostname>) -> Result<BTreeSet<Neighbor>, Failure> {
    let mut neighbors = BTreeSet::new();
    let mut select = connection.prepare_cached(SELECT_NEIGHBORS)?;
    for named in of {
        let mut rows = select.query([named.as_str()])?;
        while let Some(row) = rows.next()? {
            let configuration: String = row.get(1)?;
            if let Some(of) = neighbor::named_by(&configuration, of) {
                let hostname = column::name("device.hostname", row.get(0)?)?;
                neighbors.insert(Neighbor { of, hostname });
            }
        }
    }
    Ok(neighbors)
}

/// Creates or updates groups. Runs before members and clients, which refer to them.
pub(super) fn write_groups(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO device_group (name, location) VALUES (?1, ?2) \
         ON CONFLICT (name) DO UPDATE SET location = excluded.location \
            WHERE excluded.location IS NOT NULL AND location IS NOT excluded.location",
    )?;
    for (name, location) in merged::groups(facts) {
        upsert.execute(params![name.as_str(), location])?;
    }
    Ok(())
}

/// Creates or updates interfaces. Runs before links and clients, which refer to them.
pub(super) fn write_interfaces(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO interface (device_id, name, configuration) \
         VALUES ((SELECT id FROM device WHERE hostname = ?1), ?2, ?3) \
         ON CONFLICT (device_id, name) DO UPDATE SET configuration = excluded.configuration \
            WHERE excluded.configuration IS NOT NULL AND configuration IS NOT excluded.configuration",
    )?;
    for ((hostname, name), configuration) in merged::interfaces(facts) {
        let configuration = configuration.map(ToString::to_string);
        upsert.execute(params![hostname.as_str(), name.as_str(), configuration])?;
    }
    Ok(())
}

pub(super) fn write_links(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO linknet (one_id, other_id, present, removed_at, version_time, version_id, added_time, added_id, \
            one_address, other_address, addressed_time, addressed_id) \
         SELECT min(a.id, b.id), max(a.id, b.id), ?5, CASE WHEN ?5 THEN NULL ELSE CAST(unixepoch('subsec') * 1000000 AS INTEGER) END, \
            ?6, ?7, ?8, ?9, CASE WHEN a.id < b.id THEN ?10 ELSE ?11 END, CASE WHEN a.id < b.id THEN ?11 ELSE ?10 END, ?12, ?13 FROM \
            (SELECT (SELECT interface.id FROM interface JOIN device ON device.id = interface.device_id \
                WHERE device.hostname = ?1 AND interface.name = ?2) AS id) a, \
            (SELECT (SELECT interface.id FROM interface JOIN device ON device.id = interface.device_id \
                WHERE device.hostname = ?3 AND interface.name = ?4) AS id) b \
         WHERE true ON CONFLICT (one_id, other_id) DO UPDATE SET present = excluded.present, removed_at = excluded.removed_at, \
            version_time = excluded.version_time, version_id = excluded.version_id, \
            added_time = excluded.added_time, added_id = excluded.added_id, \
            one_address = excluded.one_address, other_address = excluded.other_address, \
            addressed_time = excluded.addressed_time, addressed_id = excluded.addressed_id",
    )?;
    for (link, row) in facts.changed_links() {
        let [a, b] = link.ends();
        insert.execute(params![
            a.hostname.as_str(),
            a.interface.as_str(),
            b.hostname.as_str(),
            b.interface.as_str(),
            row.present,
            row.version.as_ref().map(column::version_time),
            row.version.as_ref().map(|version| version.id.as_str()),
            row.added.as_ref().map(column::version_time),
            row.added.as_ref().map(|version| version.id.as_str()),
            row.addresses[0].as_ref().map(InterfaceAddress::as_str),
            row.addresses[1].as_ref().map(InterfaceAddress::as_str),
            row.addressed.as_ref().map(column::version_time),
            row.addressed.as_ref().map(|version| version.id.as_str()),
        ])?;
    }
    Ok(())
}

pub(super) fn write_clients(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO client (mac, name, ip, interface_id, group_id) \
         VALUES (?1, ?2, ?3, \
            (SELECT interface.id FROM interface JOIN device ON device.id = interface.device_id \
                WHERE device.hostname = ?4 AND interface.name = ?5), \
            (SELECT id FROM device_group WHERE name = ?6)) \
         ON CONFLICT (mac) DO UPDATE SET \
            name = coalesce(excluded.name, name), ip = coalesce(excluded.ip, ip), \
            interface_id = coalesce(excluded.interface_id, interface_id), \
            group_id = coalesce(excluded.group_id, group_id) \
         WHERE (name, ip, interface_id, group_id) IS NOT (coalesce(excluded.name, name), coalesce(excluded.ip, ip), \
            coalesce(excluded.interface_id, interface_id), coalesce(excluded.group_id, group_id))",
    )?;
    for (mac, client) in merged::clients(facts) {
        upsert.execute(params![
            mac.as_str(),
            client.name,
            client.ip.map(|ip| ip.to_string()),
            client.interface.map(|end| end.hostname.as_str()),
            client.interface.map(|end| end.interface.as_str()),
            client.group.map(lockstep_protocol::GroupName::as_str),
        ])?;
    }
    Ok(())
}
