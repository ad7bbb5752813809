//! `lockstep.inventory.imported`: a chunk creates or updates what it names, and leaves everything else as it is.
//!
//! A new device is unsynchronized unless the inventory marks it as synchronized. A device that exists keeps its flag, unless the
//! message says that devices are to be marked as synchronized; the causes that this closes are those of the transaction, under the
//! lock of the device. As in the device API of CNaaS, `synchronized` is applied before `state`, so a device imported as synchronized
//! and UNMANAGED becomes unsynchronized (`docs/reference/sync-rules.md`).
//!
//! A device whose type the site does not have, whose identity conflicts with that of another, or whose controller cannot be one, is left out and named in the result; the others are imported. If that
//! leaves none, the message is rejected.

mod surroundings;

use std::collections::BTreeSet;

use lockstep_protocol::events::{ImportedClient, ImportedDevice, ImportedInterface, InventoryImported};
use lockstep_protocol::results::{IgnoredReason, RejectedDevice, Scope};
use lockstep_protocol::{Cause, Code, DeviceState, Hostname};
use serde_json::{Map, Value};

use super::device_controller::DeviceControllers;
use super::device_identity::{DeviceIdentities, IdentityConflict};
use super::device_state::inventoried_state_effects;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection, device_type};
use lockstep_store::{
    Attributes, ClientRow, DeviceEffect, DeviceRow, Effects, Facts, GroupRow, InterfaceRow, Keys, LinkEnd,
    Version,
};

impl Handler for InventoryImported {
    fn keys(&self, keys: &mut Keys) {
        let devices = self.devices.iter().map(|device| device.hostname.clone());
        let controllers = self.devices.iter().filter_map(|device| device.controller.clone());
        let interfaces = self.interfaces.iter().map(|interface| interface.hostname.clone());
        let clients = self.clients.iter().filter_map(|client| client.hostname.clone());
        keys.hostnames.extend(devices);
        keys.hostnames.extend(controllers);
        keys.hostnames.extend(interfaces);
        keys.hostnames.extend(clients);
        let with_data = self.devices.iter().filter(|device| device.data.is_some());
        keys.data_of
            .extend(with_data.map(|device| device.hostname.clone()));
        surroundings::keys(self, keys);
        keys.macs
            .extend(self.devices.iter().filter_map(|device| device.mac.clone()));
        keys.serials
            .extend(self.devices.iter().filter_map(|device| device.serial.clone()));
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, context, facts)
    }
}

fn decide(
    event: &InventoryImported,
    context: &HandlerContext<'_>,
    facts: &Facts,
) -> Result<Decision, Rejection> {
    let version = &context.version();
    let Screened {
        accepted,
        rejected,
        outdated,
    } = screen(event, context, facts);
    if let ([], [first, ..]) = (&accepted[..], &rejected[..]) {
        if outdated == rejected.len() {
            return Ok(older(rejected));
        }
        return Err(Rejection::new(first.code, &first.place, reasons(&rejected)));
    }
    let is_rejected = |hostname: &Hostname| rejected.iter().any(|device| device.hostname == *hostname);
    let known = |hostname: &Hostname| {
        facts.device(hostname).is_some() || accepted.iter().any(|device| device.hostname == *hostname)
    };
    let mut effects = Effects::default();
    let mut marked = BTreeSet::new();
    for device in &accepted {
        match facts.device(&device.hostname) {
            None => effects.devices.extend(create(device, version)),
            Some(row) => {
                if event.mark_synchronized && device.synchronized == Some(true) && !row.sync.synchronized() {
                    marked.insert(device.hostname.clone());
                }
                effects.devices.extend(update(device, row, &marked, version));
            }
        }
        if let Some(groups) = &device.groups {
            effects.devices.push(DeviceEffect::Join {
                hostname: device.hostname.clone(),
                groups: groups.iter().cloned().collect(),
            });
            effects.groups.extend(groups.iter().map(|name| GroupRow {
                name: name.clone(),
                location: None,
            }));
        }
    }
    let groups = event.groups.iter().map(|group| GroupRow {
        name: group.name.clone(),
        location: group.location,
    });
    effects.groups.extend(groups);
    for (index, interface) in event.interfaces.iter().enumerate() {
        if !is_rejected(&interface.hostname) {
            effects
                .interfaces
                .push(interface_row(interface, index, known, facts)?);
        }
    }
    for (index, client) in event.clients.iter().enumerate() {
        if client.hostname.as_ref().is_some_and(is_rejected) {
            continue;
        }
        effects.clients.push(client_row(client, index, known, facts)?);
        let group = client.group.iter().map(|name| GroupRow {
            name: name.clone(),
            location: None,
        });
        effects.groups.extend(group);
    }
    let surroundings = surroundings::decide(event, version, facts, |hostname| {
        !is_rejected(hostname) && known(hostname)
    })?;
    effects.links = surroundings.links;
    effects.management_domains = surroundings.management_domains;
    effects.devices.extend(surroundings.flagged.effects);
    let unknown = surroundings.unknown;
    let ignored = effects == Effects::default() && rejected.is_empty() && unknown.is_empty();
    let mut hostnames: BTreeSet<Hostname> = accepted.iter().map(|device| device.hostname.clone()).collect();
    hostnames.extend(surroundings.flagged.devices);
    let scope = if hostnames.is_empty() {
        Scope::None
    } else {
        Scope::Devices
    };
    let draft = EventAppliedDraft {
        ignored: ignored.then_some(IgnoredReason::Unchanged),
        unknown_hostnames: unknown,
        rejected,
        marked,
        ..EventAppliedDraft::applied(scope, hostnames)
    };
    Ok(Decision {
        effects,
        result: draft.into(),
    })
}

/// All devices of the message were removed or renamed after it.
fn older(rejected: Vec<RejectedDevice>) -> Decision {
    let hostnames: Vec<Hostname> = rejected.iter().map(|device| device.hostname.clone()).collect();
    let draft = EventAppliedDraft {
        ignored: Some(IgnoredReason::Older),
        rejected,
        ..EventAppliedDraft::applied(Scope::Devices, hostnames)
    };
    Decision {
        effects: Effects::default(),
        result: draft.into(),
    }
}

fn reasons(rejected: &[RejectedDevice]) -> String {
    const MOST: usize = 10;
    let mut reasons: Vec<String> = rejected
        .iter()
        .take(MOST)
        .map(|device| device.reason.clone())
        .collect();
    if rejected.len() > MOST {
        reasons.push(format!("and {} more", rejected.len() - MOST));
    }
    reasons.join("; ")
}

/// The devices of a message.
struct Screened<'a> {
    /// Those that are imported.
    accepted: Vec<&'a ImportedDevice>,
    /// Those that are not: the site does not have their type, another device has their name, MAC address or serial number, their
    /// controller cannot be one, or they are outdated.
    rejected: Vec<RejectedDevice>,
    /// How many of those were removed or renamed after the message.
    outdated: usize,
}

/// Of two devices in one message the first keeps what both claim.
fn screen<'a>(event: &'a InventoryImported, context: &HandlerContext<'_>, facts: &'a Facts) -> Screened<'a> {
    let (types, version) = (context.types(), context.version());
    let mut outdated = 0;
    let mut identities = DeviceIdentities::new(facts);
    let mut identified = Vec::with_capacity(event.devices.len());
    let mut rejected = Vec::new();
    for (index, device) in event.devices.iter().enumerate() {
        if let Some(rejection) = outdated_name(&device.hostname, &version, facts, index) {
            outdated += 1;
            rejected.push((index, device, rejection));
            continue;
        }
        let place = format!("$.data.devices[{index}].device_type");
        if let Err(rejection) = device_type::check(&device.device_type, types, place) {
            rejected.push((index, device, rejection));
            continue;
        }
        match identities.claim(&device.hostname, device.mac.as_ref(), device.serial.as_ref()) {
            Ok(()) => identified.push((index, device)),
            Err(IdentityConflict { field, reason }) => {
                let place = format!("$.data.devices[{index}].{field}");
                let rejection = Rejection::new(Code::IdentityConflict, place, reason);
                rejected.push((index, device, rejection));
            }
        }
    }
    let controllers = DeviceControllers::new(facts, identified.iter().map(|(_, device)| *device));
    let mut accepted = Vec::with_capacity(identified.len());
    for (index, device) in identified {
        match controllers.check(device, format!("$.data.devices[{index}].controller")) {
            Ok(()) => accepted.push(device),
            Err(rejection) => rejected.push((index, device, rejection)),
        }
    }
    rejected.sort_by_key(|(index, ..)| *index);
    let rejected = rejected.into_iter().map(|(_, device, rejection)| RejectedDevice {
        hostname: device.hostname.clone(),
        code: rejection.code,
        place: rejection.place,
        reason: rejection.reason,
    });
    Screened {
        accepted,
        rejected: rejected.collect(),
        outdated,
    }
}

/// A device that had this name was removed or renamed after the inventory was made, so the inventory must not create it again.
fn outdated_name(hostname: &Hostname, version: &Version, facts: &Facts, index: usize) -> Option<Rejection> {
    if facts.device(hostname).is_some() {
        return None;
    }
    let former = facts
        .former_hostname(hostname)
        .filter(|former| former.version >= *version)?;
    let time = former.version.time;
    let what = match &former.current {
        Some(current) => format!("renamed to {current}"),
        None => "removed".to_owned(),
    };
    let reason = format!(
        "{hostname} was {what} ({time:.0}) after this inventory was made; import an inventory that was made later"
    );
    let place = format!("$.data.devices[{index}].hostname");
    Some(Rejection::new(Code::UnknownDevice, place, reason))
}

fn create(device: &ImportedDevice, version: &Version) -> Vec<DeviceEffect> {
    let state = device
        .state
        .or(device.initial_state)
        .unwrap_or(DeviceState::Managed);
    let hostname = device.hostname.clone();
    let mut effects = vec![DeviceEffect::Create {
        hostname: hostname.clone(),
        attributes: described(device, Attributes::of(device.device_type.clone())),
        state,
        version: Some(version.clone()),
    }];
    effects.extend(set_data(device, &Map::new()));
    if device.note.is_some() || device.until.is_some() {
        effects.push(DeviceEffect::Move {
            hostname: hostname.clone(),
            state,
            note: device.note.clone(),
            until: device.until,
            version: Some(version.clone()),
        });
    }
    if state == DeviceState::Unmanaged || device.synchronized != Some(true) {
        effects.push(DeviceEffect::Unsynchronize {
            hostname,
            cause: Cause::InventoryImported,
        });
    }
    effects
}

/// A device that exists keeps its flag, unless it is among those to be marked as synchronized or it moves to UNMANAGED.
fn update(
    device: &ImportedDevice,
    row: &DeviceRow,
    marked: &BTreeSet<Hostname>,
    version: &Version,
) -> Vec<DeviceEffect> {
    let hostname = || device.hostname.clone();
    let mut effects = Vec::new();
    let attributes = described(device, row.attributes.clone());
    if attributes != row.attributes {
        effects.push(DeviceEffect::Describe {
            hostname: hostname(),
            attributes,
        });
    }
    let known = row.data.as_ref().map(|data| &data.object);
    effects.extend(set_data(device, known.unwrap_or(&Map::new())));
    if marked.contains(&device.hostname) {
        effects.push(DeviceEffect::Synchronize { hostname: hostname() });
    }
    effects.extend(inventoried_state_effects(device, row, version));
    effects
}

/// Replaces what is known, if the inventory says something else.
fn set_data(device: &ImportedDevice, known: &Map<String, Value>) -> Option<DeviceEffect> {
    let data = device.data.as_ref().filter(|data| *data != known)?;
    Some(DeviceEffect::SetData {
        hostname: device.hostname.clone(),
        data: data.clone(),
    })
}

/// The attributes in the inventory, over those known before.
fn described(device: &ImportedDevice, known: Attributes) -> Attributes {
    Attributes {
        device_type: device.device_type.clone(),
        platform: device.platform.clone().or(known.platform),
        management_ip: device.management_ip.or(known.management_ip),
        mac: device.mac.clone().or(known.mac),
        serial: device.serial.clone().or(known.serial),
        vendor: device.vendor.clone().or(known.vendor),
        model: device.model.clone().or(known.model),
        os_version: device.os_version.clone().or(known.os_version),
        controller: device.controller.clone().or(known.controller),
    }
}

fn interface_row(
    interface: &ImportedInterface,
    index: usize,
    known: impl Fn(&Hostname) -> bool,
    facts: &Facts,
) -> Result<InterfaceRow, Rejection> {
    if !known(&interface.hostname) {
        let place = format!("$.data.interfaces[{index}].hostname");
        return Err(Rejection::unknown_device(&interface.hostname, facts, place));
    }
    Ok(InterfaceRow {
        hostname: interface.hostname.clone(),
        name: interface.name.clone(),
        configuration: interface.configuration.clone(),
    })
}

fn client_row(
    client: &ImportedClient,
    index: usize,
    known: impl Fn(&Hostname) -> bool,
    facts: &Facts,
) -> Result<ClientRow, Rejection> {
    let place = format!("$.data.clients[{index}]");
    let interface = match (&client.hostname, &client.interface) {
        (None, None) => None,
        (Some(hostname), Some(interface)) => Some(LinkEnd {
            hostname: hostname.clone(),
            interface: interface.clone(),
        }),
        (Some(_), None) | (None, Some(_)) => {
            let reason = "hostname and interface belong together: name both or neither";
            return Err(Rejection::new(Code::InvalidData, place, reason));
        }
    };
    if let Some(end) = interface.as_ref().filter(|end| !known(&end.hostname)) {
        return Err(Rejection::unknown_device(
            &end.hostname,
            facts,
            format!("{place}.hostname"),
        ));
    }
    Ok(ClientRow {
        mac: client.mac.clone(),
        name: client.name.clone(),
        ip: client.ip,
        interface,
        group: client.group.clone(),
    })
}

#[cfg(test)]
mod tests;
