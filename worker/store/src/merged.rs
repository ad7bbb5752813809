//! Merges the rows that a batch writes: one for each group, interface and client, sorted. Both stores use it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lockstep_protocol::{GroupName, Hostname, InterfaceName, Mac};
use serde_json::Value;

use super::{DeviceRow, Facts, LinkEnd, StoreError};

/// Groups by name, and whether each is a location. A group is also created when a device joins it or a client belongs to it.
pub(super) fn groups(facts: &Facts) -> BTreeMap<&GroupName, Option<bool>> {
    let mut groups = BTreeMap::new();
    for row in facts.groups() {
        let location = groups.entry(&row.name).or_insert(None);
        *location = row.location.or(*location);
    }
    let joined = facts
        .devices()
        .filter_map(|device| device.groups.as_ref())
        .flatten();
    let of_clients = facts.clients().iter().filter_map(|client| client.group.as_ref());
    for name in joined.chain(of_clients) {
        groups.entry(name).or_insert(None);
    }
    groups
}

/// Interfaces with their configuration. An interface is also created when a link ends at it or a client is behind it.
pub(super) fn interfaces(facts: &Facts) -> BTreeMap<(&Hostname, &InterfaceName), Option<&Value>> {
    let mut interfaces = BTreeMap::new();
    for row in facts.interfaces() {
        let configuration = interfaces.entry((&row.hostname, &row.name)).or_insert(None);
        *configuration = row.configuration.as_ref().or(*configuration);
    }
    let of_links = facts.changed_links().flat_map(|(link, _)| link.ends());
    let of_clients = facts
        .clients()
        .iter()
        .filter_map(|client| client.interface.as_ref());
    for end in of_links.chain(of_clients) {
        interfaces.entry((&end.hostname, &end.interface)).or_insert(None);
    }
    interfaces
}

/// The fields of a client that a batch sets; absent fields stay unchanged.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Client<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) ip: Option<IpAddr>,
    pub(super) interface: Option<&'a LinkEnd>,
    pub(super) group: Option<&'a GroupName>,
}

/// Clients by MAC address.
pub(super) fn clients(facts: &Facts) -> BTreeMap<&Mac, Client<'_>> {
    let mut clients: BTreeMap<&Mac, Client<'_>> = BTreeMap::new();
    for row in facts.clients() {
        let client = clients.entry(&row.mac).or_default();
        client.name = row.name.as_deref().or(client.name);
        client.ip = row.ip.or(client.ip);
        client.interface = row.interface.as_ref().or(client.interface);
        client.group = row.group.as_ref().or(client.group);
    }
    clients
}

/// Fails if a device is created that exists, or if a device gets a name that was not among the keys or that another one has. Otherwise
/// the error of the database would look like a conflict with another transaction, which would be repeated forever.
///
/// A name that the same transaction frees is still one that exists: messages that rename or remove a device and create another one by its
/// name are processed one by one.
pub(super) fn check_names(
    facts: &Facts,
    requested: &BTreeSet<Hostname>,
    existing: &BTreeSet<Hostname>,
) -> Result<(), StoreError> {
    let refused = |operation, reason: String| {
        Err(StoreError::Refused {
            operation,
            source: reason.into(),
        })
    };
    let (stored, new): (Vec<&DeviceRow>, Vec<&DeviceRow>) =
        facts.devices().partition(|device| device.id.is_some());
    let created = new.iter().map(|device| &device.hostname);
    let mut created = created.filter(|hostname| existing.contains(hostname) || !requested.contains(hostname));
    if let Some(hostname) = created.next() {
        let reason = format!("{hostname} exists, or was not among the keys of the transaction");
        return refused("create a device", reason);
    }
    let mut targets = facts.renamed().iter().map(|renamed| &renamed.to);
    if let Some(hostname) = targets.find(|hostname| !requested.contains(hostname)) {
        let reason = format!("{hostname} was not among the keys of the transaction");
        return refused("rename a device", reason);
    }
    // The facts have one row for each name.
    if stored.len() + facts.removed().len() != existing.len() {
        let reason = "another device has the new name of a device".to_owned();
        return refused("rename a device", reason);
    }
    Ok(())
}
