//! Rows that a batch wants to be there, one for each thing and sorted, as both stores write them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use lockstep_protocol::{GroupName, Hostname, InterfaceName, Mac};
use serde_json::Value;

use super::{Facts, LinkEnd, StoreError};

/// Groups by name, and whether each is a location. Those that devices join or clients belong to begin to exist by it.
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

/// Interfaces with their configuration. Those that links end at or clients are behind begin to exist by it.
pub(super) fn interfaces(facts: &Facts) -> BTreeMap<(&Hostname, &InterfaceName), Option<&Value>> {
    let mut interfaces = BTreeMap::new();
    for row in facts.interfaces() {
        let configuration = interfaces.entry((&row.hostname, &row.name)).or_insert(None);
        *configuration = row.configuration.as_ref().or(*configuration);
    }
    let of_links = facts.new_links().iter().flat_map(|link| [link.a(), link.b()]);
    let of_clients = facts
        .clients()
        .iter()
        .filter_map(|client| client.interface.as_ref());
    for end in of_links.chain(of_clients) {
        interfaces.entry((&end.hostname, &end.interface)).or_insert(None);
    }
    interfaces
}

/// What is said about one client; absent fields are left as they are.
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

/// Fails if a device begins to exist whose name was not looked up: then a name that is taken would look like the work
/// of another transaction at the same time, and repeating would never end. `known` says which are there already.
pub(super) fn check_created(
    facts: &Facts,
    asked: &BTreeSet<Hostname>,
    known: &BTreeSet<Hostname>,
) -> Result<(), StoreError> {
    let refused = facts
        .devices()
        .filter(|device| device.id.is_none())
        .map(|device| &device.hostname)
        .find(|hostname| known.contains(hostname) || !asked.contains(hostname));
    match refused {
        None => Ok(()),
        Some(hostname) => Err(StoreError::Refused {
            operation: "create a device",
            source: format!("{hostname} is there already, or was not looked up").into(),
        }),
    }
}
