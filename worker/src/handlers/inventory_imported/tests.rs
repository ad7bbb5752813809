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
        (
            json!({"initial_state": "PRE_CONFIGURED"}),
            DeviceState::PreConfigured,
            false,
        ),
        (
            json!({"initial_state": "PRE_CONFIGURED", "state": "INIT"}),
            DeviceState::Init,
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
fn a_device_that_exists_keeps_its_state_whatever_the_initial_one_is() {
    for initial in ["MANAGED", "PRE_CONFIGURED"] {
        let mut facts = facts([device("sw1", |row| row.lifecycle.state = DeviceState::Unmanaged)]);
        let entry = json!({"hostname": "sw1", "device_type": "ACCESS", "initial_state": initial});
        process(&import(&json!({"devices": [entry]})), &mut facts).unwrap();
        let row = facts.device(&hostname("sw1")).unwrap();
        assert_eq!(row.lifecycle.state, DeviceState::Unmanaged, "{initial}");
    }
}

#[test]
fn a_device_of_a_type_that_the_site_does_not_have_is_left_out() {
    let spine = json!({"hostname": "s1", "device_type": "SPINE"});
    let access = json!({"hostname": "a1", "device_type": "ACCESS"});
    let mut facts = facts([]);
    let both = import(&json!({"devices": [access, spine]}));
    let (decision, _) = process(&both, &mut facts).unwrap();
    let rejected = &decision.event_applied().rejected;
    let found = (
        &rejected[0].hostname,
        rejected[0].code,
        rejected[0].place.as_str(),
    );
    let expected = (
        &hostname("s1"),
        Code::UnknownDeviceType,
        "$.data.devices[1].device_type",
    );
    assert_eq!((rejected.len(), found), (1, expected));
    assert!(facts.device(&hostname("a1")).is_some() && facts.device(&hostname("s1")).is_none());
    let alone = process(&import(&json!({"devices": [spine]})), &mut facts).unwrap_err();
    assert_eq!(
        (alone.code, alone.place.as_str()),
        (Code::UnknownDeviceType, "$.data.devices[0].device_type")
    );
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
    let mut known = facts([device("sw1", |_| ())]);
    let (decision, _) = process(&import(&data), &mut known).unwrap();
    assert_eq!(decision.event_applied().ignored, Some(IgnoredReason::Unchanged));

    // The store has the end to the microsecond.
    let until = "2026-03-01T08:00:00.123456789Z";
    let data =
        json!({"devices": [{"hostname": "sw1", "device_type": "ACCESS", "note": "x", "until": until}]});
    let mut facts = facts([device("sw1", |row| {
        row.lifecycle.note = Some("x".to_owned());
        row.lifecycle.until = Some("2026-03-01T08:00:00.123456Z".parse().unwrap());
    })]);
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
fn a_device_keeps_its_controller_and_is_left_out_if_that_cannot_be_one() {
    let entry = |name: &str, controller: Option<&str>| json!({"hostname": name, "device_type": "ACCESS", "controller": controller});
    let mut facts = facts([device("ap1", |row| {
        row.attributes.controller = Some(hostname("wlc1"));
    })]);
    // The controller comes after its device.
    let devices = json!([
        entry("ap1", None),
        entry("ap2", Some("wlc2")),
        entry("wlc2", None),
        entry("ap3", Some("wlc9"))
    ]);
    let (decision, _) = process(&import(&json!({"devices": devices})), &mut facts).unwrap();
    let controller = |name: &str| {
        facts
            .device(&hostname(name))
            .unwrap()
            .attributes
            .controller
            .clone()
    };
    assert_eq!(controller("ap1"), Some(hostname("wlc1")));
    assert_eq!(controller("ap2"), Some(hostname("wlc2")));
    let rejected = &decision.event_applied().rejected;
    assert_eq!(rejected.len(), 1, "{rejected:?}");
    assert_eq!(
        (rejected[0].code, &*rejected[0].place),
        (Code::UnknownDevice, "$.data.devices[3].controller")
    );
    assert!(facts.device(&hostname("ap3")).is_none());
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
