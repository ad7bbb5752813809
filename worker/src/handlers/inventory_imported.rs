//! `lockstep.inventory.imported`: a chunk creates or updates what it names, and leaves everything else as it is.
//!
//! A new device is unsynchronized unless the inventory marks it as synchronized. A device that exists keeps its flag, unless the
//! message says that devices are to be marked as synchronized; the causes that this closes are those of the transaction, under the
//! lock of the device. As in the device API of CNaaS, `synchronized` is applied before `state`, so a device imported as synchronized
//! and UNMANAGED becomes unsynchronized (`docs/sync-rules.md`).
//!
//! A device whose identity conflicts with that of another is left out and named in the result; the others are imported. If that
//! leaves none, the message is rejected.

use std::collections::BTreeSet;

use lockstep_protocol::events::{ImportedClient, ImportedDevice, ImportedInterface, InventoryImported};
use lockstep_protocol::results::{IgnoredReason, RejectedDevice, Scope};
use lockstep_protocol::{Cause, Code, DeviceState, Hostname};

use super::device_identity::{DeviceIdentities, IdentityConflict};
use super::device_state::inventoried_state_effects;
use super::{Decision, EventAppliedDraft, Handler, HandlerContext, Rejection};
use lockstep_store::{
    Attributes, ClientRow, DeviceEffect, DeviceRow, Effects, Facts, GroupRow, InterfaceRow, Keys, LinkEnd,
    Version,
};

impl Handler for InventoryImported {
    fn keys(&self) -> Keys {
        keys(self)
    }

    fn decide(&self, context: &HandlerContext<'_>, facts: &Facts) -> Result<Decision, Rejection> {
        decide(self, &context.version(), facts)
    }
}

fn keys(event: &InventoryImported) -> Keys {
    let devices = event.devices.iter().map(|device| device.hostname.clone());
    let interfaces = event
        .interfaces
        .iter()
        .map(|interface| interface.hostname.clone());
    let clients = event.clients.iter().filter_map(|client| client.hostname.clone());
    Keys {
        hostnames: devices.chain(interfaces).chain(clients).collect(),
        macs: event
            .devices
            .iter()
            .filter_map(|device| device.mac.clone())
            .collect(),
        serials: event
            .devices
            .iter()
            .filter_map(|device| device.serial.clone())
            .collect(),
        ..Keys::default()
    }
}

fn decide(event: &InventoryImported, version: &Version, facts: &Facts) -> Result<Decision, Rejection> {
    let (accepted, rejected) = screen(event, facts);
    if let ([], [first, ..]) = (&accepted[..], &rejected[..]) {
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
    let ignored = effects == Effects::default() && rejected.is_empty();
    let hostnames: BTreeSet<Hostname> = accepted.iter().map(|device| device.hostname.clone()).collect();
    let scope = if hostnames.is_empty() {
        Scope::None
    } else {
        Scope::Devices
    };
    let draft = EventAppliedDraft {
        ignored: ignored.then_some(IgnoredReason::Unchanged),
        rejected,
        marked,
        ..EventAppliedDraft::applied(scope, hostnames)
    };
    Ok(Decision {
        effects,
        result: draft.into(),
    })
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

/// The devices that are imported, and those that are not, because another device has their name, MAC address or serial number. Of two
/// devices in one message the first keeps it.
fn screen<'a>(
    event: &'a InventoryImported,
    facts: &'a Facts,
) -> (Vec<&'a ImportedDevice>, Vec<RejectedDevice>) {
    let mut identities = DeviceIdentities::new(facts);
    let mut accepted = Vec::with_capacity(event.devices.len());
    let mut rejected = Vec::new();
    for (index, device) in event.devices.iter().enumerate() {
        match identities.claim(&device.hostname, device.mac.as_ref(), device.serial.as_ref()) {
            Ok(()) => accepted.push(device),
            Err(IdentityConflict { field, reason }) => rejected.push(RejectedDevice {
                hostname: device.hostname.clone(),
                code: Code::IdentityConflict,
                place: format!("$.data.devices[{index}].{field}"),
                reason,
            }),
        }
    }
    (accepted, rejected)
}

fn create(device: &ImportedDevice, version: &Version) -> Vec<DeviceEffect> {
    let state = device.state.unwrap_or(DeviceState::Managed);
    let hostname = device.hostname.clone();
    let mut effects = vec![DeviceEffect::Create {
        hostname: hostname.clone(),
        attributes: described(device, Attributes::of(device.device_type)),
        state,
        version: Some(version.clone()),
    }];
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
    if marked.contains(&device.hostname) {
        effects.push(DeviceEffect::Synchronize { hostname: hostname() });
    }
    effects.extend(inventoried_state_effects(device, row, version));
    effects
}

/// The attributes in the inventory, over those known before.
fn described(device: &ImportedDevice, known: Attributes) -> Attributes {
    Attributes {
        device_type: device.device_type,
        platform: device.platform.clone().or(known.platform),
        management_ip: device.management_ip.or(known.management_ip),
        mac: device.mac.clone().or(known.mac),
        serial: device.serial.clone().or(known.serial),
        vendor: device.vendor.clone().or(known.vendor),
        model: device.model.clone().or(known.model),
        os_version: device.os_version.clone().or(known.os_version),
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
mod tests {
    use lockstep_protocol::{Envelope, Kind};
    use serde_json::{Value, json};

    use super::super::fixtures::{device, facts, flips, hostname, message, process, version};
    use super::*;

    fn import(data: &Value) -> Envelope {
        message(Kind::InventoryImported, 10, data)
    }

    #[test]
    fn new_devices_start_as_the_inventory_says() {
        let table = [
            // what it says besides name and type; state and flag afterwards
            (json!({}), DeviceState::Managed, false),
            (json!({"synchronized": true}), DeviceState::Managed, true),
            (
                json!({"synchronized": false, "state": "INIT"}),
                DeviceState::Init,
                false,
            ),
            (
                json!({"synchronized": true, "state": "UNMANAGED"}),
                DeviceState::Unmanaged,
                false,
            ),
        ];
        for (mut entry, state, synchronized) in table {
            entry["hostname"] = json!("sw1");
            entry["device_type"] = json!("ACCESS");
            let mut facts = facts([]);
            process(&import(&json!({"devices": [entry]})), &mut facts).unwrap();
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(
                (row.lifecycle.state, row.sync.synchronized()),
                (state, synchronized),
                "{entry}"
            );
        }
    }

    #[test]
    fn known_devices_change_only_in_what_the_inventory_says() {
        let table = [
            // synchronized before, what it says, whether it marks devices, synchronized after
            (true, json!({}), true, true),
            (false, json!({}), true, false),
            (true, json!({"synchronized": false}), false, true),
            (true, json!({"synchronized": false}), true, true),
            (false, json!({"synchronized": true}), false, false),
            (false, json!({"synchronized": true}), true, true),
            (true, json!({"state": "UNMANAGED"}), false, false),
            (
                false,
                json!({"synchronized": true, "state": "UNMANAGED"}),
                true,
                false,
            ),
        ];
        for (before, mut entry, marks, after) in table {
            entry["hostname"] = json!("sw1");
            entry["device_type"] = json!("ACCESS");
            let mut facts = facts([device("sw1", |row| {
                row.sync.desired = if before { 1 } else { 2 };
                row.attributes.platform = Some("eos".to_owned());
            })]);
            let data = json!({"devices": [entry], "mark_synchronized": marks});
            let (decision, flipped) = process(&import(&data), &mut facts).unwrap();
            let row = facts.device(&hostname("sw1")).unwrap();
            assert_eq!(row.sync.synchronized(), after, "{before} {entry}");
            let marked = !before && marks && entry.get("synchronized").is_some();
            let names: &[&str] = if marked { &["sw1"] } else { &[] };
            assert_eq!(decision.event_applied().marked, flips(names), "{before} {entry}");
            assert_eq!(row.marked.is_some(), marked, "{before} {entry}");
            assert_eq!(
                flipped,
                if before == after {
                    flips(&[])
                } else {
                    flips(&["sw1"])
                },
                "{before} {entry}"
            );
            assert_eq!(row.attributes.platform.as_deref(), Some("eos"));
        }
    }

    #[test]
    fn the_same_inventory_again_changes_nothing() {
        let data = json!({"devices": [{"hostname": "sw1", "device_type": "ACCESS", "state": "MANAGED"}]});
        let mut facts = facts([device("sw1", |_| ())]);
        let (decision, _) = process(&import(&data), &mut facts).unwrap();
        assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Unchanged));
    }

    #[test]
    fn the_note_and_the_end_of_a_state_are_imported_with_it() {
        let until = "2026-03-01T08:00:00Z";
        let noted = json!({"state": "UNMANAGED", "note": "on its way", "until": until});
        let lifecycle = |state, note: Option<&str>, end: bool| (state, note.map(str::to_owned), end);
        let unmanaged = lifecycle(DeviceState::Unmanaged, Some("on its way"), true);
        let table = [
            // what it says of a new device, or then of an UNMANAGED one with note and end; what is stored
            (None, noted.clone(), unmanaged.clone()),
            (
                None,
                json!({"note": "new"}),
                lifecycle(DeviceState::Managed, Some("new"), false),
            ),
            (Some(10), json!({}), unmanaged.clone()),
            (Some(10), noted, unmanaged.clone()),
            (
                Some(10),
                json!({"note": "here"}),
                lifecycle(DeviceState::Unmanaged, Some("here"), true),
            ),
            (
                Some(10),
                json!({"state": "MANAGED"}),
                lifecycle(DeviceState::Managed, None, false),
            ),
            (
                Some(10),
                json!({"state": "INIT", "note": "again"}),
                lifecycle(DeviceState::Init, Some("again"), false),
            ),
            // Something newer was applied.
            (Some(20), json!({"note": "here"}), unmanaged),
        ];
        for (known_since, mut entry, expected) in table {
            entry["hostname"] = json!("sw1");
            entry["device_type"] = json!("ACCESS");
            let known = known_since.map(|second| {
                device("sw1", |row| {
                    row.sync.desired = 2;
                    row.lifecycle.state = DeviceState::Unmanaged;
                    row.lifecycle.note = Some("on its way".to_owned());
                    row.lifecycle.until = Some(until.parse().unwrap());
                    row.lifecycle.version = Some(version(second - 5));
                })
            });
            let mut facts = facts(known);
            process(&import(&json!({"devices": [entry]})), &mut facts).unwrap();
            let stored = facts.device(&hostname("sw1")).unwrap().lifecycle.clone();
            let stored = (stored.state, stored.note, stored.until.is_some());
            assert_eq!(stored, expected, "{known_since:?} {entry}");
        }
    }

    #[test]
    fn a_device_with_the_identity_of_another_is_left_out_and_named() {
        let entry = |name: &str, mac: u32, serial: &str| json!({"hostname": name, "device_type": "ACCESS", "mac": format!("444ca8{mac:06}"), "serial": serial});
        let devices = json!([
            entry("sw1", 1, "S1"),
            entry("sw2", 1, "S2"),
            entry("sw3", 9, "S3"),
            entry("sw4", 4, "S1"),
            entry("SW1", 5, "S5"),
            entry("sw6", 1, "S9"),
            // What a rejected device claims stays free.
            entry("sw7", 4, "S2"),
            entry("old1", 9, "S9"),
        ]);
        let interfaces = json!([{"hostname": "sw1", "name": "e1"}, {"hostname": "sw2", "name": "e1"}]);
        let client = json!({"mac": "00:00:5e:00:53:01", "hostname": "sw2", "interface": "e1"});
        let mut facts = facts([device("old1", |row| {
            row.attributes.mac = Some("444ca8000009".to_owned().try_into().unwrap());
        })]);
        let data = json!({"devices": devices, "interfaces": interfaces, "clients": [client]});
        let (decision, _) = process(&import(&data), &mut facts).unwrap();
        let draft = decision.event_applied();
        assert_eq!(
            (draft.ignored, &draft.devices),
            (None, &flips(&["old1", "sw1", "sw7"]))
        );
        let rejected: Vec<String> = draft
            .rejected
            .iter()
            .map(|device| format!("{} {}: {}", device.code, device.place, device.reason))
            .collect();
        let cannot = "identity-conflict $.data.devices";
        let expected = [
            format!(
                "{cannot}[1].mac: sw2 cannot have the MAC address 44:4c:a8:00:00:01, because it belongs to sw1"
            ),
            format!(
                "{cannot}[2].mac: sw3 cannot have the MAC address 44:4c:a8:00:00:09, because it belongs to old1"
            ),
            format!("{cannot}[3].serial: sw4 cannot have the serial number S1, because it belongs to sw1"),
            format!(
                "{cannot}[4].hostname: SW1 cannot be a device, because it differs from sw1 only in upper and lower case; write sw1"
            ),
            format!(
                "{cannot}[5].mac: sw6 cannot have the MAC address 44:4c:a8:00:00:01, because it belongs to sw1"
            ),
        ];
        assert_eq!(rejected, expected);
        assert_eq!(
            (decision.effects.interfaces.len(), decision.effects.clients.len()),
            (1, 0)
        );
        assert!(facts.device(&hostname("sw2")).is_none());
        assert!(facts.device(&hostname("sw7")).is_some());
    }

    #[test]
    fn a_message_of_which_nothing_is_left_is_rejected() {
        let entry = |name: &str| json!({"hostname": name, "device_type": "ACCESS", "serial": "S1"});
        let mut facts = facts([device("old1", |row| {
            row.attributes.serial = Some("S1".to_owned().try_into().unwrap());
        })]);
        let data = json!({"devices": [entry("sw1"), entry("sw2")]});
        let rejection = process(&import(&data), &mut facts).unwrap_err();
        assert_eq!(
            (rejection.code, rejection.place.as_str()),
            (Code::IdentityConflict, "$.data.devices[0].serial")
        );
        assert_eq!(
            rejection.reason,
            "sw1 cannot have the serial number S1, because it belongs to old1; \
             sw2 cannot have the serial number S1, because it belongs to old1"
        );
    }

    #[test]
    fn interfaces_and_clients_need_their_device() {
        let chunk = |interfaces: Value, clients: Value| {
            let devices = json!([{"hostname": "sw1", "device_type": "ACCESS"}]);
            import(&json!({"devices": devices, "interfaces": interfaces, "clients": clients}))
        };
        let mac = "00:00:5e:00:53:01";
        let good = chunk(
            json!([{"hostname": "sw1", "name": "Ethernet1"}]),
            json!([{"mac": mac, "hostname": "sw1", "interface": "Ethernet1", "group": "building-a"}]),
        );
        let (decision, _) = process(&good, &mut facts([])).unwrap();
        assert_eq!(
            (decision.effects.interfaces.len(), decision.effects.clients.len()),
            (1, 1)
        );
        assert_eq!(decision.effects.groups[0].name.as_str(), "building-a");

        let table = [
            (
                chunk(json!([{"hostname": "sw9", "name": "Ethernet1"}]), json!([])),
                "$.data.interfaces[0].hostname",
            ),
            (
                chunk(
                    json!([]),
                    json!([{"mac": mac, "hostname": "sw9", "interface": "e1"}]),
                ),
                "$.data.clients[0].hostname",
            ),
            (
                chunk(json!([]), json!([{"mac": mac, "hostname": "sw1"}])),
                "$.data.clients[0]",
            ),
        ];
        for (envelope, place) in table {
            assert_eq!(process(&envelope, &mut facts([])).unwrap_err().place, place);
        }
    }
}
