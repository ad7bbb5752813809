//! Locks, reads and writes management domains.

use std::collections::BTreeSet;

use tokio_postgres::Row;

use super::session::Session;
use super::write::Write;
use crate::{Facts, ManagementDomain, ManagementDomainRow, StoreError, column};

/// Before they are read: a row that another transaction changed meanwhile would be joined with its former devices.
const LOCK: &str = "SELECT id FROM management_domain WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE";

const SELECT: &str = "\
    SELECT domain.id, one.hostname, other.hostname, domain.one_address, domain.other_address, domain.ipv4_gateway, domain.ipv6_gateway, \
        domain.vlan, domain.description, domain.esi_mac, domain.version_time, domain.version_id \
    FROM management_domain AS domain LEFT JOIN device AS one ON one.id = domain.one_id AND domain.present \
        LEFT JOIN device AS other ON other.id = domain.other_id AND domain.present \
    WHERE domain.id = ANY($1)";

/// The new rows, each with the numbers of its devices. An unknown name yields a null id, which the table refuses.
macro_rules! new {
    () => {
        "FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::integer[], $9::text[], \
            $10::text[], $11::boolean[], $12::text[], $13::text[]) \
            AS new (id, one_hostname, other_hostname, one_address, other_address, ipv4_gateway, ipv6_gateway, vlan, description, \
                esi_mac, present, version_time, version_id) \
        LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.one_hostname OFFSET 0) AS one ON true \
        LEFT JOIN LATERAL (SELECT id FROM device WHERE device.hostname = new.other_hostname OFFSET 0) AS other ON true"
    };
}

/// Another transaction may have inserted a row that was not there to be locked: then this one begins again.
const INSERT: &str = concat!(
    "INSERT INTO management_domain (id, one_id, other_id, one_address, other_address, ipv4_gateway, ipv6_gateway, vlan, description, \
        esi_mac, present, removed_at, version_time, version_id) \
     SELECT new.id, one.id, other.id, new.one_address, new.other_address, new.ipv4_gateway, new.ipv6_gateway, new.vlan, \
        new.description, new.esi_mac, new.present, CASE WHEN NOT new.present THEN clock_timestamp() END, new.version_time, \
        new.version_id ",
    new!()
);

const UPDATE: &str = concat!(
    "UPDATE management_domain SET one_id = one.id, other_id = other.id, one_address = new.one_address, \
        other_address = new.other_address, ipv4_gateway = new.ipv4_gateway, ipv6_gateway = new.ipv6_gateway, vlan = new.vlan, \
        description = new.description, esi_mac = new.esi_mac, present = new.present, \
        removed_at = CASE WHEN NOT new.present THEN clock_timestamp() END, version_time = new.version_time, \
        version_id = new.version_id ",
    new!(),
    " WHERE management_domain.id = new.id"
);

/// Locks the domains in the order of their numbers, and adds them to the facts.
pub(super) async fn lock(
    operation: &'static str,
    session: &Session,
    ids: &BTreeSet<u64>,
    facts: &mut Facts,
) -> Result<(), StoreError> {
    let ids: Vec<i64> = ids.iter().map(|id| number(*id)).collect();
    session.rows_for(operation, LOCK, &[&ids]).await?;
    for row in session.rows_for(operation, SELECT, &[&ids]).await? {
        let version = column::read_version(row.get(10), row.get(11))?;
        let domain = read(&row)?;
        facts.add_management_domain(column::count(row.get(0)), domain, version);
    }
    Ok(())
}

/// `None` for one that was removed.
fn read(row: &Row) -> Result<Option<ManagementDomain>, StoreError> {
    let (Some(one), Some(other)) = (row.get::<_, Option<String>>(1), row.get::<_, Option<String>>(2)) else {
        return Ok(None);
    };
    let hostname = |name| column::name("device.hostname", name);
    let optional = |index| row.get::<_, Option<String>>(index);
    Ok(Some(ManagementDomain {
        id: column::count(row.get(0)),
        devices: [hostname(one)?, hostname(other)?],
        addresses: [
            column::optional_word("management_domain.one_address", optional(3))?,
            column::optional_word("management_domain.other_address", optional(4))?,
        ],
        ipv4_gateway: optional(5),
        ipv6_gateway: optional(6),
        vlan: row
            .get::<_, Option<i32>>(7)
            .map(|vlan| column::number("management_domain.vlan", vlan.into()))
            .transpose()?,
        description: optional(8),
        esi_mac: optional(9),
    }))
}

/// Inserts new domains and updates stored ones. Runs when all devices are written.
pub(super) fn write(facts: &Facts) -> impl Iterator<Item = Write<'_>> {
    let (stored, new): (Vec<_>, Vec<_>) = facts
        .changed_management_domains()
        .partition(|(_, row)| row.stored);
    let write = |statement, rows: Vec<_>| (!rows.is_empty()).then(|| columns(Write::new(statement), &rows));
    [write(INSERT, new), write(UPDATE, stored)].into_iter().flatten()
}

fn columns<'a>(write: Write<'a>, rows: &[(u64, &'a ManagementDomainRow)]) -> Write<'a> {
    let domains = || rows.iter().map(|(_, row)| row.domain.as_ref());
    let versions = || rows.iter().map(|(_, row)| row.version.as_ref());
    let device =
        |index: usize| domains().map(move |domain| domain.map(|domain| domain.devices[index].as_str()));
    let address = |index: usize| {
        domains().map(move |domain| {
            domain
                .and_then(|domain| domain.addresses[index])
                .map(|ip| ip.to_string())
        })
    };
    let text = |of: fn(&ManagementDomain) -> Option<&str>| domains().map(move |domain| domain.and_then(of));
    write
        .column(rows.iter().map(|(id, _)| number(*id)))
        .column(device(0))
        .column(device(1))
        .column(address(0))
        .column(address(1))
        .column(text(|domain| domain.ipv4_gateway.as_deref()))
        .column(text(|domain| domain.ipv6_gateway.as_deref()))
        .column(domains().map(|domain| domain.and_then(|domain| domain.vlan).map(i32::from)))
        .column(text(|domain| domain.description.as_deref()))
        .column(text(|domain| domain.esi_mac.as_deref()))
        .column(domains().map(|domain| domain.is_some()))
        .column(versions().map(|version| version.map(column::version_time)))
        .column(versions().map(|version| version.map(|version| version.id.as_str())))
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
