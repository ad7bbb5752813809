//! Reads and writes the rows related to devices: groups, interfaces, links and clients. Statements refer to devices and groups
//! by name, because those that the same transaction creates have no id before. An unknown name yields a null id, which the
//! table refuses, so that no row is skipped silently. `OFFSET 0` keeps the planner from reading the whole table of devices for them.

use std::collections::BTreeSet;

use lockstep_protocol::{GroupName, Hostname, InterfaceAddress};
use tokio_postgres::Row;

use super::broad;
use super::cause::wanted_causes;
use super::session::Session;
use super::write::Write;
use crate::neighbor::{self, Neighbor};
use crate::{Facts, FormerHostname, Link, LinkEnd, LinkRow, StoreError, column, merged};

pub(super) const SELECT_MACS: &str = "SELECT mac, hostname FROM device WHERE mac = ANY($1)";
pub(super) const SELECT_SERIALS: &str = "SELECT serial, hostname FROM device WHERE serial = ANY($1)";

/// Other spellings of hostnames that no device has, and hostnames that devices had. Those have a version, and the present name of the
/// device if there is one.
pub(super) const SELECT_SPELLINGS: &str = "\
    SELECT hostname, NULL::text AS current, NULL::text AS version_time, NULL::text AS version_id FROM device \
    WHERE hostname_folded = ANY($1) \
    UNION ALL \
    SELECT hostname, (SELECT device.hostname FROM device WHERE device.id = former_hostname.device_id), version_time, version_id \
    FROM former_hostname WHERE folded = ANY($1)";

/// Interfaces that may name one of the devices as their neighbour. It reads all interfaces with a neighbour.
pub(super) const SELECT_NEIGHBORS: &str = "\
    SELECT device.hostname, interface.configuration FROM interface JOIN device ON device.id = interface.device_id \
    WHERE interface.configuration LIKE '%\"neighbor\"%' \
        AND EXISTS (SELECT FROM unnest($1::text[]) AS named (hostname) WHERE strpos(interface.configuration, named.hostname) > 0)";

pub(super) const SELECT_DATA: &str =
    "SELECT hostname, data FROM device WHERE hostname = ANY($1) AND data IS NOT NULL";

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
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id, \
        linknet.added_time, linknet.added_id, linknet.one_address, linknet.other_address, linknet.addressed_time, linknet.addressed_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.one_id = port.id \
        JOIN interface peer ON peer.id = linknet.other_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ANY($1) \
    UNION ALL \
    SELECT here.hostname, port.name, there.hostname, peer.name, linknet.present, linknet.version_time, linknet.version_id, \
        linknet.added_time, linknet.added_id, linknet.other_address, linknet.one_address, linknet.addressed_time, linknet.addressed_id \
    FROM device here JOIN interface port ON port.device_id = here.id JOIN linknet ON linknet.other_id = port.id \
        JOIN interface peer ON peer.id = linknet.one_id JOIN device there ON there.id = peer.device_id \
    WHERE here.hostname = ANY($1)";

pub(super) const UPSERT_GROUPS: &str = "\
    INSERT INTO device_group (name, location) SELECT * FROM unnest($1::text[], $2::boolean[]) \
    ON CONFLICT (name) DO UPDATE SET location = excluded.location \
        WHERE excluded.location IS NOT NULL AND device_group.location IS DISTINCT FROM excluded.location";

pub(super) const UPSERT_INTERFACES: &str = "\
    INSERT INTO interface (device_id, name, configuration) \
    SELECT device.id, new.name, new.configuration \
    FROM unnest($1::text[], $2::text[], $3::text[]) AS new (hostname, name, configuration) \
    LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.hostname OFFSET 0) AS device ON true \
    ON CONFLICT (device_id, name) DO UPDATE SET configuration = excluded.configuration \
        WHERE excluded.configuration IS NOT NULL AND interface.configuration IS DISTINCT FROM excluded.configuration";

/// The interface of a new link with these columns for its device and its name.
macro_rules! link_end {
    ($hostname:literal, $name:literal) => {
        concat!(
            " LEFT JOIN LATERAL (SELECT interface.id FROM interface WHERE interface.name = new.",
            $name,
            " AND interface.device_id = (SELECT device.id FROM device WHERE device.hostname = new.",
            $hostname,
            ") OFFSET 0)"
        )
    };
}

/// A link that was removed stays, so that an older message does not add it again.
pub(super) const UPSERT_LINKS: &str = concat!(
    "INSERT INTO linknet (one_id, other_id, present, removed_at, version_time, version_id, added_time, added_id, \
        one_address, other_address, addressed_time, addressed_id) \
     SELECT least(a.id, b.id), greatest(a.id, b.id), new.present, CASE WHEN NOT new.present THEN clock_timestamp() END, \
        new.version_time, new.version_id, new.added_time, new.added_id, \
        CASE WHEN a.id < b.id THEN new.a_address ELSE new.b_address END, CASE WHEN a.id < b.id THEN new.b_address ELSE new.a_address END, \
        new.addressed_time, new.addressed_id \
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::text[], $7::text[], $8::text[], $9::text[], \
            $10::text[], $11::text[], $12::text[], $13::text[]) \
        AS new (a_hostname, a_name, b_hostname, b_name, present, version_time, version_id, added_time, added_id, \
            a_address, b_address, addressed_time, addressed_id)",
    link_end!("a_hostname", "a_name"),
    " AS a ON true",
    link_end!("b_hostname", "b_name"),
    " AS b ON true \
     ON CONFLICT (one_id, other_id) DO UPDATE SET present = excluded.present, removed_at = excluded.removed_at, \
        version_time = excluded.version_time, version_id = excluded.version_id, \
        added_time = excluded.added_time, added_id = excluded.added_id, \
        one_address = excluded.one_address, other_address = excluded.other_address, \
        addressed_time = excluded.addressed_time, addressed_id = excluded.addressed_id"
);

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
        let address = |index| column::optional_name("linknet.address", row.get(index));
        let (link, addresses) = Link::with_addresses(
            (link_end(row, 0)?, address(9)?),
            (link_end(row, 2)?, address(10)?),
        );
        let stored = LinkRow {
            present: row.get(4),
            version: column::read_version(row.get(5), row.get(6))?,
            added: column::read_version(row.get(7), row.get(8))?,
            addresses,
            addressed: column::read_version(row.get(11), row.get(12))?,
            changed: false,
        };
        facts.add_link_row(link, stored);
    }
    Ok(())
}

/// Adds the rows of [`SELECT_SPELLINGS`] to the facts.
pub(super) fn read_spellings(rows: &[Row], facts: &mut Facts) -> Result<(), StoreError> {
    for row in rows {
        let hostname = column::name("device.hostname", row.get(0))?;
        match column::read_version(row.get(2), row.get(3))? {
            None => facts.add_spelling(hostname),
            Some(version) => facts.add_former_hostname(FormerHostname {
                hostname,
                current: column::optional_name("device.hostname", row.get(1))?,
                version,
            }),
        }
    }
    Ok(())
}

/// Reads the devices one of whose interfaces names one of these as its neighbour, each with that one.
pub(super) async fn neighbors(
    operation: &'static str,
    session: &Session,
    of: &BTreeSet<Hostname>,
) -> Result<BTreeSet<Neighbor>, StoreError> {
    if of.is_empty() {
        return Ok(BTreeSet::new());
    }
    let names: Vec<&str> = of.iter().map(Hostname::as_str).collect();
    let rows = session.rows_for(operation, SELECT_NEIGHBORS, &[&names]).await?;
    let mut neighbors = BTreeSet::new();
    for row in &rows {
        if let Some(of) = neighbor::named_by(row.get(1), of) {
            let hostname = column::name("device.hostname", row.get(0))?;
            neighbors.insert(Neighbor { of, hostname });
        }
    }
    Ok(neighbors)
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
    let added = || rows().map(|row| row.added.as_ref());
    let set_by = || rows().map(|row| row.addressed.as_ref());
    let addresses =
        |end: usize| rows().map(move |row| row.addresses[end].as_ref().map(InterfaceAddress::as_str));
    links().next().is_some().then(|| {
        Write::new(UPSERT_LINKS)
            .column(links().map(|link| link.a().hostname.as_str()))
            .column(links().map(|link| link.a().interface.as_str()))
            .column(links().map(|link| link.b().hostname.as_str()))
            .column(links().map(|link| link.b().interface.as_str()))
            .column(rows().map(|row| row.present))
            .column(versions().map(|version| version.map(column::version_time)))
            .column(versions().map(|version| version.map(|version| version.id.as_str())))
            .column(added().map(|version| version.map(column::version_time)))
            .column(added().map(|version| version.map(|version| version.id.as_str())))
            .column(addresses(0))
            .column(addresses(1))
            .column(set_by().map(|version| version.map(column::version_time)))
            .column(set_by().map(|version| version.map(|version| version.id.as_str())))
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
