//! Reads and writes the rows related to devices: groups, interfaces, links and clients. Statements refer to devices and groups
//! by name. An unknown name yields a null id, which the table refuses, so that no row is skipped silently.

use std::collections::BTreeSet;

use lockstep_protocol::GroupName;
use rusqlite::{Connection, OptionalExtension, params};

use super::error::Failure;
use super::{cause, device};
use crate::{CauseId, Facts, Keys, Link, LinkEnd, column, merged};

/// Finds links by either end.
const SELECT_LINKS: &str = "\
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.one_id = port.id \
        JOIN interface peer ON peer.id = linknet.other_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ?1 \
    UNION ALL \
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.other_id = port.id \
        JOIN interface peer ON peer.id = linknet.one_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ?1";

/// Reads the owners of MAC addresses and serial numbers, other spellings of hostnames that no device has, open causes and links, and
/// adds them to the facts.
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
        }
    }
    for hostname in &keys.causes_of {
        for id in device::open_causes(connection, hostname)? {
            if let Some(row) = cause::find(connection, CauseId(id))? {
                facts.add_open_cause(hostname.clone(), row);
            }
        }
    }
    let mut links = connection.prepare_cached(SELECT_LINKS)?;
    for hostname in &keys.links_of {
        let mut rows = links.query([hostname.as_str()])?;
        while let Some(row) = rows.next()? {
            let end = |first| -> Result<LinkEnd, Failure> {
                Ok(LinkEnd {
                    hostname: column::name("device.hostname", row.get(first)?)?,
                    interface: column::name("interface.name", row.get(first + 1)?)?,
                })
            };
            let version = column::read_version(row.get(5)?, row.get(6)?)?;
            facts.add_link(Link::between(end(0)?, end(2)?), row.get(4)?, version);
        }
    }
    Ok(())
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

/// Replaces the members by list of each device whose groups the batch sets. Members that stay are not written anew.
pub(super) fn write_members(connection: &Connection, facts: &Facts) -> Result<(), Failure> {
    let mut select = connection.prepare_cached(
        "SELECT device_group.name FROM device JOIN group_member ON group_member.device_id = device.id \
         JOIN device_group ON device_group.id = group_member.group_id WHERE device.hostname = ?1",
    )?;
    let mut delete = connection.prepare_cached(
        "DELETE FROM group_member WHERE device_id = (SELECT id FROM device WHERE hostname = ?1) \
         AND group_id = (SELECT id FROM device_group WHERE name = ?2)",
    )?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO group_member (device_id, group_id) \
         VALUES ((SELECT id FROM device WHERE hostname = ?1), (SELECT id FROM device_group WHERE name = ?2))",
    )?;
    for device in facts.devices() {
        let Some(groups) = &device.groups else {
            continue;
        };
        let hostname = device.hostname.as_str();
        let known = select.query_map([hostname], |row| row.get::<_, String>(0))?;
        let known: BTreeSet<String> = known.collect::<Result<_, _>>()?;
        let wanted: BTreeSet<&str> = groups.iter().map(GroupName::as_str).collect();
        for former in known.iter().filter(|name| !wanted.contains(name.as_str())) {
            delete.execute([hostname, former])?;
        }
        for new in wanted.iter().filter(|name| !known.contains(**name)) {
            insert.execute([hostname, new])?;
        }
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
        "INSERT INTO linknet (one_id, other_id, present, removed_at, version_time, version_id) \
         SELECT min(a.id, b.id), max(a.id, b.id), ?5, CASE WHEN ?5 THEN NULL ELSE CAST(unixepoch('subsec') * 1000000 AS INTEGER) END, ?6, ?7 FROM \
            (SELECT (SELECT interface.id FROM interface JOIN device ON device.id = interface.device_id \
                WHERE device.hostname = ?1 AND interface.name = ?2) AS id) a, \
            (SELECT (SELECT interface.id FROM interface JOIN device ON device.id = interface.device_id \
                WHERE device.hostname = ?3 AND interface.name = ?4) AS id) b \
         WHERE true ON CONFLICT (one_id, other_id) DO UPDATE SET present = excluded.present, removed_at = excluded.removed_at, \
            version_time = excluded.version_time, version_id = excluded.version_id",
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
            client.group.map(GroupName::as_str),
        ])?;
    }
    Ok(())
}
