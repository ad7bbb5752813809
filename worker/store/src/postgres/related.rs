//! Reads and writes the rows related to devices: groups, interfaces, links and clients. Statements refer to devices and groups
//! by name, because those that the same transaction creates have no id before. An unknown name yields a null id, which the
//! table refuses, so that no row is skipped silently. `OFFSET 0` keeps the planner from reading the whole table of devices for them.

use lockstep_protocol::{GroupName, Hostname};
use tokio_postgres::Row;

use super::broad;
use super::cause::wanted_causes;
use super::write::Write;
use crate::{Facts, Link, LinkEnd, StoreError, column, merged};

pub(super) const SELECT_MACS: &str = "SELECT mac, hostname FROM device WHERE mac = ANY($1)";
pub(super) const SELECT_SERIALS: &str = "SELECT serial, hostname FROM device WHERE serial = ANY($1)";

pub(super) const SELECT_SPELLINGS: &str = "SELECT hostname FROM device WHERE hostname_folded = ANY($1)";

/// In the order of the causes. A device comes first, then the columns of a cause.
pub(super) const SELECT_CAUSES: &str = concat!(
    "SELECT device.hostname, cause.cause, cause.kind, cause.source, cause.message_id, cause.at, cause.actor, cause.note \
    FROM device CROSS JOIN LATERAL unnest(",
    broad::open_causes!(),
    ") WITH ORDINALITY AS wanted (id, position) ",
    wanted_causes!(),
    " WHERE device.hostname = ANY($1) ORDER BY wanted.position"
);

/// Finds links by either end.
pub(super) const SELECT_LINKS: &str = "\
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.one_id = port.id \
        JOIN interface peer ON peer.id = linknet.other_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ANY($1) \
    UNION ALL \
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.other_id = port.id \
        JOIN interface peer ON peer.id = linknet.one_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ANY($1)";

pub(super) const UPSERT_GROUPS: &str = "\
    INSERT INTO device_group (name, location) SELECT * FROM unnest($1::text[], $2::boolean[]) \
    ON CONFLICT (name) DO UPDATE SET location = excluded.location \
        WHERE excluded.location IS NOT NULL AND device_group.location IS DISTINCT FROM excluded.location";

/// Members that stay are not written anew.
pub(super) const DELETE_MEMBERS: &str = "\
    DELETE FROM group_member WHERE device_id = ANY (ARRAY(SELECT id FROM device WHERE hostname = ANY($1))) \
        AND (device_id, group_id) NOT IN (\
            SELECT device.id, device_group.id FROM unnest($2::text[], $3::text[]) AS kept (hostname, name) \
            JOIN LATERAL (SELECT id FROM device WHERE device.hostname = kept.hostname OFFSET 0) AS device ON true \
            JOIN device_group ON device_group.name = kept.name)";

pub(super) const INSERT_MEMBERS: &str = "\
    INSERT INTO group_member (device_id, group_id) \
    SELECT device.id, device_group.id FROM unnest($1::text[], $2::text[]) AS new (hostname, name) \
    LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.hostname OFFSET 0) AS device ON true LEFT JOIN device_group ON device_group.name = new.name \
    ON CONFLICT (device_id, group_id) DO NOTHING";

pub(super) const UPSERT_INTERFACES: &str = "\
    INSERT INTO interface (device_id, name, configuration) \
    SELECT device.id, new.name, new.configuration \
    FROM unnest($1::text[], $2::text[], $3::text[]) AS new (hostname, name, configuration) \
    LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.hostname OFFSET 0) AS device ON true \
    ON CONFLICT (device_id, name) DO UPDATE SET configuration = excluded.configuration \
        WHERE excluded.configuration IS NOT NULL AND interface.configuration IS DISTINCT FROM excluded.configuration";

/// A link that was removed stays, so that an older message does not add it again.
pub(super) const UPSERT_LINKS: &str = "\
    INSERT INTO linknet (one_id, other_id, present, removed_at, version_time, version_id) \
    SELECT least(a.id, b.id), greatest(a.id, b.id), present, CASE WHEN NOT present THEN clock_timestamp() END, new.version_time, new.version_id \
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[]) \
        AS new (a_hostname, a_name, b_hostname, b_name, present, version_time, version_id) \
    LEFT JOIN device a_device ON a_device.hostname = new.a_hostname \
    LEFT JOIN interface a ON a.device_id = a_device.id AND a.name = new.a_name \
    LEFT JOIN device b_device ON b_device.hostname = new.b_hostname \
    LEFT JOIN interface b ON b.device_id = b_device.id AND b.name = new.b_name \
    ON CONFLICT (one_id, other_id) DO UPDATE SET present = excluded.present, removed_at = excluded.removed_at, \
        version_time = excluded.version_time, version_id = excluded.version_id";

pub(super) const UPSERT_CLIENTS: &str = "\
    INSERT INTO client (mac, name, ip, interface_id, group_id) \
    SELECT new.mac, new.name, new.ip, interface.id, device_group.id \
    FROM unnest($1::text[], $2::text[], $3::inet[], $4::text[], $5::text[], $6::text[]) \
        AS new (mac, name, ip, hostname, interface, group_name) \
    LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.hostname OFFSET 0) AS device ON true \
    LEFT JOIN interface ON interface.device_id = device.id AND interface.name = new.interface \
    LEFT JOIN device_group ON device_group.name = new.group_name \
    ON CONFLICT (mac) DO UPDATE SET \
        name = coalesce(excluded.name, client.name), ip = coalesce(excluded.ip, client.ip), \
        interface_id = coalesce(excluded.interface_id, client.interface_id), \
        group_id = coalesce(excluded.group_id, client.group_id) \
    WHERE (client.name, client.ip, client.interface_id, client.group_id) IS DISTINCT FROM (\
        coalesce(excluded.name, client.name), coalesce(excluded.ip, client.ip), \
        coalesce(excluded.interface_id, client.interface_id), coalesce(excluded.group_id, client.group_id))";

/// Adds the rows of the three queries to the facts.
pub(super) fn read_facts(
    macs: &[Row],
    serials: &[Row],
    links: &[Row],
    facts: &mut Facts,
) -> Result<(), StoreError> {
    for row in macs {
        let hostname = column::name("device.hostname", row.get(1))?;
        facts.add_mac(column::name("device.mac", row.get(0))?, hostname);
    }
    for row in serials {
        let hostname = column::name("device.hostname", row.get(1))?;
        facts.add_serial(column::name("device.serial", row.get(0))?, hostname);
    }
    for row in links {
        let link = Link::between(link_end(row, 0)?, link_end(row, 2)?);
        let version = column::read_version(row.get(5), row.get(6))?;
        facts.add_link(link, row.get(4), version);
    }
    Ok(())
}

fn link_end(row: &Row, first: usize) -> Result<LinkEnd, StoreError> {
    Ok(LinkEnd {
        hostname: column::name("device.hostname", row.get(first))?,
        interface: column::name("interface.name", row.get(first + 1))?,
    })
}

/// Creates or updates groups. Runs before members and clients, which refer to them.
pub(super) fn groups(facts: &Facts) -> Option<Write<'_>> {
    let groups = merged::groups(facts);
    (!groups.is_empty()).then(|| {
        Write::new(UPSERT_GROUPS)
            .column(groups.keys().map(|name| name.as_str()))
            .column(groups.values().copied())
    })
}

/// Replaces the members by list of each device whose groups the batch sets.
pub(super) fn members(facts: &Facts) -> impl Iterator<Item = Write<'_>> {
    let joining = || facts.devices().filter(|device| device.groups.is_some());
    let pairs: Vec<(&Hostname, &GroupName)> = joining()
        .flat_map(|device| {
            device
                .groups
                .iter()
                .flatten()
                .map(|name| (&device.hostname, name))
        })
        .collect();
    let delete = joining().next().is_some().then(|| {
        Write::new(DELETE_MEMBERS)
            .column(joining().map(|device| device.hostname.as_str()))
            .column(pairs.iter().map(|(hostname, _)| hostname.as_str()))
            .column(pairs.iter().map(|(_, name)| name.as_str()))
    });
    let insert = (!pairs.is_empty()).then(|| {
        Write::new(INSERT_MEMBERS)
            .column(pairs.iter().map(|(hostname, _)| hostname.as_str()))
            .column(pairs.iter().map(|(_, name)| name.as_str()))
    });
    delete.into_iter().chain(insert)
}

/// Creates or updates interfaces. Runs before links and clients, which refer to them.
pub(super) fn interfaces(facts: &Facts) -> Option<Write<'_>> {
    let interfaces = merged::interfaces(facts);
    (!interfaces.is_empty()).then(|| {
        Write::new(UPSERT_INTERFACES)
            .column(interfaces.keys().map(|(hostname, _)| hostname.as_str()))
            .column(interfaces.keys().map(|(_, name)| name.as_str()))
            .column(interfaces.values().map(|json| json.map(ToString::to_string)))
    })
}

pub(super) fn links(facts: &Facts) -> Option<Write<'_>> {
    let links = || facts.changed_links().map(|(link, _)| link);
    let rows = || facts.changed_links().map(|(_, row)| row);
    let versions = || rows().map(|row| row.version.as_ref());
    links().next().is_some().then(|| {
        Write::new(UPSERT_LINKS)
            .column(links().map(|link| link.a().hostname.as_str()))
            .column(links().map(|link| link.a().interface.as_str()))
            .column(links().map(|link| link.b().hostname.as_str()))
            .column(links().map(|link| link.b().interface.as_str()))
            .column(rows().map(|row| row.present))
            .column(versions().map(|version| version.map(column::version_time)))
            .column(versions().map(|version| version.map(|version| version.id.as_str())))
    })
}

pub(super) fn clients(facts: &Facts) -> Option<Write<'_>> {
    let clients = merged::clients(facts);
    let interfaces = || clients.values().map(|client| client.interface);
    (!clients.is_empty()).then(|| {
        Write::new(UPSERT_CLIENTS)
            .column(clients.keys().map(|mac| mac.as_str()))
            .column(clients.values().map(|client| client.name))
            .column(clients.values().map(|client| client.ip))
            .column(interfaces().map(|end| end.map(|end| end.hostname.as_str())))
            .column(interfaces().map(|end| end.map(|end| end.interface.as_str())))
            .column(clients.values().map(|client| client.group.map(GroupName::as_str)))
    })
}
