//! What must not change a flag, each by its name; failed and cancelled runs and facts are tested in `worker/tests/executions`.

use lockstep_intent::fleet::transitions::{Effect, TRANSITIONS};
use lockstep_protocol::{DeviceState, Kind};
use lockstep_store::Facts;
use serde_json::{Value, json};

use super::super::fixtures::{at, causes, device, facts, flips, hostname, message, process};

/// A synchronized device, and an unsynchronized one.
fn fleet(state: DeviceState) -> Facts {
    let both = ["sync1", "unsync1"].map(|name| {
        device(name, |row| {
            row.lifecycle.state = state;
            row.attributes.model = Some("X7".to_owned());
            if name == "unsync1" {
                row.sync.desired = 2;
                row.sync.since = Some(at(1));
            }
        })
    });
    facts(both)
}

fn changes_no_flag(kind: Kind, data: impl Fn(&str) -> Value) {
    for state in [DeviceState::Managed, DeviceState::Unmanaged, DeviceState::Init] {
        for name in ["sync1", "unsync1"] {
            let mut facts = fleet(state);
            let before = facts.device(&hostname(name)).unwrap().sync;
            let (_, flipped) = process(&message(kind, 10, &data(name)), &mut facts).unwrap();
            let row = facts.device(&hostname(name)).unwrap();
            assert_eq!((flipped, row.sync), (flips(&[]), before), "{kind} {name} {state}");
            assert!(
                causes(&facts, name).is_empty() && !row.forgets_causes,
                "{kind} {name} {state}"
            );
        }
    }
}

#[test]
fn a_bounce_of_an_interface_changes_no_flag() {
    changes_no_flag(
        Kind::InterfaceUpdated,
        |name| json!({"hostname": name, "kind": "status", "interfaces": [{"name": "Ethernet1"}, {"name": "Ethernet2"}]}),
    );
}

#[test]
fn stack_members_and_an_inventory_with_the_same_data_change_no_flag() {
    changes_no_flag(
        Kind::InventoryImported,
        |name| json!({"devices": [{"hostname": name, "device_type": "ACCESS", "model": "X7", "synchronized": false}]}),
    );
}

#[test]
fn an_inventory_with_other_data_changes_no_flag() {
    changes_no_flag(Kind::InventoryImported, |name| {
        json!({"devices": [{"hostname": name, "device_type": "ACCESS", "model": "X8", "os_version": "4.32.2F"}],
            "interfaces": [{"hostname": name, "name": "Ethernet1", "configuration": {"vlan": 7}}]})
    });
}

#[test]
fn a_rename_to_the_same_name_changes_no_flag() {
    changes_no_flag(
        Kind::DeviceRenamed,
        |name| json!({"hostname": name, "new_hostname": name}),
    );
}

/// No message tells it, so nothing can change a flag for it.
#[test]
fn a_local_change_on_a_device_changes_no_flag() {
    let row = TRANSITIONS.iter().find(|row| row.id == "local-change").unwrap();
    assert_eq!((row.kinds, row.effect), (&[][..], Effect::Nothing));
}

#[test]
fn a_device_that_returns_from_unmanaged_stays_as_it_is_and_its_clock_restarts() {
    let mut facts = fleet(DeviceState::Unmanaged);
    for name in ["sync1", "unsync1"] {
        let data = json!({"hostname": name, "state": "MANAGED"});
        let (_, flipped) = process(&message(Kind::DeviceStateChanged, 10, &data), &mut facts).unwrap();
        assert_eq!(flipped, flips(&[]));
        assert!(causes(&facts, name).is_empty());
    }
    let sync = |name: &str| facts.device(&hostname(name)).unwrap().sync;
    assert_eq!(
        (sync("sync1").synchronized(), sync("unsync1").synchronized()),
        (true, false)
    );
    assert_eq!(
        (sync("sync1").since, sync("unsync1").since),
        (None, Some(at(1_000_000)))
    );
}
