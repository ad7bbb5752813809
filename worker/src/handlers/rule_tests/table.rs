//! Runs every row of the transition table through the handlers.

use lockstep_intent::fleet::transitions::{Effect, TRANSITIONS, Transition};
use lockstep_protocol::{Cause, DeviceState, Envelope, Identity, Kind, MessageId, Source};
use lockstep_store::{CauseRow, Facts, LinkRow, ManagementDomain};
use serde_json::{Value, json};

use super::super::fixtures::{at, device, facts, hostname, link, message, process};
use super::super::{Processing, processing};

/// Rows that no handler decides: the runner of repositories does (`worker/src/repositories`, `worker/intent`), or no message tells it.
const OUTSIDE: [&str; 9] = [
    "settings-type",
    "settings-device",
    "settings-group",
    "templates",
    "refresh-invalid",
    "repository-accept",
    "local-change",
    "facts",
    "run-failed",
];

const DEVICES: [&str; 5] = ["sw1", "core1", "dist1", "far1", "other1"];

/// Served by sw1 and far1.
fn stored_domain() -> ManagementDomain {
    ManagementDomain {
        id: 4,
        devices: [hostname("sw1"), hostname("far1")],
        addresses: [None, None],
        ipv4_gateway: None,
        ipv6_gateway: None,
        vlan: Some(600),
        description: None,
        esi_mac: None,
    }
}

/// sw1 is linked to core1, core1 to far1, and dist1 names sw1 in the configuration of an interface.
fn fleet(state: DeviceState, synchronized: bool) -> Facts {
    let mut facts = facts(DEVICES.map(|name| {
        device(name, |row| {
            row.lifecycle.state = state;
            if !synchronized {
                row.sync.desired = 2;
                row.sync.since = Some(at(1));
            }
        })
    }));
    for name in DEVICES {
        if !synchronized {
            facts.add_open_cause(hostname(name), earlier_cause());
        }
    }
    facts.add_link_row(
        link(("sw1", "E1"), ("core1", "E9")),
        LinkRow {
            present: true,
            version: None,
            added: None,
            addresses: [None, "10.0.0.1/31".to_owned().try_into().ok()],
            addressed: None,
            changed: false,
        },
    );
    facts.add_management_domain(4, Some(stored_domain()), None);
    facts.add_link(link(("core1", "E5"), ("far1", "E5")), true, None);
    facts.add_neighbor_by_configuration(hostname("sw1"), hostname("dist1"));
    facts
}

fn earlier_cause() -> CauseRow {
    CauseRow {
        cause: "earlier".to_owned(),
        identity: Identity {
            source: Source::try_from("urn:test".to_owned()).unwrap(),
            id: MessageId::try_from("earlier".to_owned()).unwrap(),
        },
        kind: "lockstep.test".to_owned(),
        actor: None,
        at: at(1),
        note: None,
        detail: None,
    }
}

fn end(text: &str) -> Value {
    let (hostname, interface) = text.split_once(' ').unwrap();
    json!({"hostname": hostname, "interface": interface})
}

fn links(action: &str, a: &str, b: &str, previous: Option<(&str, &str)>) -> Vec<(Kind, Value)> {
    let previous = previous.map(|(a, b)| json!({"a": end(a), "b": end(b)}));
    let data = json!({"action": action, "a": end(a), "b": end(b), "previous": previous});
    vec![(Kind::LinknetChanged, data)]
}

fn domain(action: &str, previous: &Value) -> Vec<(Kind, Value)> {
    let data = json!({"action": action, "device_a": "sw1", "device_b": "core1", "previous": previous});
    vec![(Kind::MgmtdomainChanged, data)]
}

fn moves(states: &[DeviceState]) -> Vec<(Kind, Value)> {
    let moves = |state: &DeviceState| {
        let data = json!({"hostname": "sw1", "state": state});
        let import = json!({"devices": [{"hostname": "sw1", "device_type": "ACCESS", "state": state}]});
        [
            (Kind::DeviceStateChanged, data.clone()),
            (Kind::DeviceStateRequested, data),
            (Kind::InventoryImported, import),
        ]
    };
    states.iter().flat_map(moves).collect()
}

fn provisioned(neighbor: Option<(&str, &str)>) -> Vec<(Kind, Value)> {
    let neighbors: Vec<Value> = neighbor
        .map(|(interface, there)| {
            let (hostname, other) = there.split_once(' ').unwrap();
            json!({"interface": interface, "neighbor_hostname": hostname, "neighbor_interface": other})
        })
        .into_iter()
        .collect();
    let data = json!({"hostname": "sw1", "device_type": "DIST", "platform": "eos", "neighbors": neighbors});
    vec![(Kind::DeviceProvisioned, data)]
}

fn import(name: &str, also: &Value, mark: bool) -> Vec<(Kind, Value)> {
    let mut device = json!({"hostname": name, "device_type": "ACCESS", "model": "X7"});
    for (key, value) in also.as_object().unwrap() {
        device[key] = value.clone();
    }
    vec![(
        Kind::InventoryImported,
        json!({"devices": [device], "mark_synchronized": mark}),
    )]
}

fn import_link(a: &str, b: &str, address: Option<&str>) -> Vec<(Kind, Value)> {
    let (mut a, b) = (end(a), end(b));
    a["address"] = json!(address);
    vec![(Kind::InventoryImported, json!({"links": [{"a": a, "b": b}]}))]
}

fn import_domain(id: u64) -> Vec<(Kind, Value)> {
    let domain = json!({"id": id, "device_a": "sw1", "device_b": "core1", "vlan": 601});
    vec![(Kind::InventoryImported, json!({"management_domains": [domain]}))]
}

fn interfaces(kind: &str) -> Vec<(Kind, Value)> {
    let interfaces = json!([{"name": "E1", "configuration": {"vlan": 7}}]);
    let data = json!({"hostname": "sw1", "kind": kind, "interfaces": interfaces});
    vec![(Kind::InterfaceUpdated, data)]
}

/// Both the event and the command.
fn both(event: Kind, command: Kind, data: Value) -> Vec<(Kind, Value)> {
    vec![(event, data.clone()), (command, data)]
}

/// Messages that each are what the row says, and the devices concerned by their names afterwards.
fn scenario(id: &str, state: DeviceState, generation: i64) -> (Vec<(Kind, Value)>, Vec<&'static str>) {
    let renames = |to: &str| {
        let data = json!({"hostname": "sw1", "new_hostname": to});
        both(Kind::DeviceRenamed, Kind::DeviceRenameRequested, data)
    };
    let mark = |synchronized: bool| {
        let data = json!({"hostname": "sw1", "synchronized": synchronized, "generation": generation});
        vec![(Kind::DeviceMarkRequested, data)]
    };
    let others = [DeviceState::Managed, DeviceState::Init, DeviceState::Discovered];
    match id {
        "interface-configuration" => (interfaces("configuration"), vec!["sw1"]),
        "interface-status" => (interfaces("status"), vec!["sw1"]),
        "provisioned" => (provisioned(None), vec!["sw1"]),
        "provisioned-link" => (provisioned(Some(("E2", "dist1 E2"))), vec!["sw1", "dist1"]),
        "provisioned-replaced" => (provisioned(Some(("E2", "core1 E5"))), vec!["far1"]),
        "provisioned-known-link" => (provisioned(Some(("E1", "core1 E9"))), vec!["core1"]),
        "to-unmanaged" | "unmanaged-again" => (moves(&[DeviceState::Unmanaged]), vec!["sw1"]),
        "to-other" => (moves(&others), vec!["sw1"]),
        "upgraded" => {
            let data = json!({"hostname": "sw1", "os_version": "4.32.2F"});
            (vec![(Kind::DeviceUpgraded, data)], vec!["sw1"])
        }
        "mgmtdomain-added" => (domain("added", &Value::Null), vec!["sw1", "core1"]),
        "mgmtdomain-removed" => (domain("removed", &Value::Null), vec!["sw1", "core1"]),
        "mgmtdomain-updated" => {
            let previous = json!({"device_a": "sw1", "device_b": "far1"});
            (domain("updated", &previous), vec!["sw1", "core1", "far1"])
        }
        "linknet-added" => (links("added", "sw1 E3", "dist1 E3", None), vec!["sw1", "dist1"]),
        "linknet-updated" => (links("updated", "sw1 E3", "dist1 E3", None), vec!["sw1", "dist1"]),
        "linknet-removed" => (links("removed", "sw1 E3", "dist1 E3", None), vec!["sw1", "dist1"]),
        "linknet-replaced" => (links("added", "sw1 E1", "dist1 E3", None), vec!["core1"]),
        "linknet-moved" => {
            let previous = Some(("core1 E5", "far1 E5"));
            (
                links("updated", "sw1 E3", "dist1 E3", previous),
                vec!["core1", "far1"],
            )
        }
        "removed" => {
            let data = json!({"hostname": "sw1"});
            (
                both(Kind::DeviceRemoved, Kind::DeviceRemoveRequested, data),
                vec!["core1"],
            )
        }
        "renamed" => (renames("sw2"), vec!["sw2"]),
        "renamed-link" => (renames("sw2"), vec!["core1"]),
        "renamed-configuration" => (renames("sw2"), vec!["dist1"]),
        "renamed-same" => (renames("sw1"), vec!["sw1"]),
        "import-new" => (import("new1", &json!({"state": state}), false), vec!["new1"]),
        "import-new-synchronized" => {
            let also = json!({"state": state, "synchronized": true});
            (import("new1", &also, false), vec!["new1"])
        }
        "import-known" => (import("sw1", &json!({"synchronized": true}), false), vec!["sw1"]),
        "import-mark" => (import("sw1", &json!({"synchronized": true}), true), vec!["sw1"]),
        "import-mark-unmanaged" => {
            let also = json!({"synchronized": true, "state": "UNMANAGED"});
            (import("sw1", &also, true), vec!["sw1"])
        }
        "import-between" => {
            let mut messages = import_link("sw1 E3", "dist1 E3", Some("10.0.0.0/31"));
            messages.extend(import_domain(5));
            (messages, vec!["sw1", "dist1", "core1"])
        }
        "import-address" => (
            import_link("sw1 E1", "core1 E9", Some("10.9.0.0/31")),
            vec!["sw1", "core1"],
        ),
        "import-link" => (import_link("sw1 E1", "dist1 E3", None), vec!["sw1", "dist1"]),
        "import-link-replaced" => (import_link("sw1 E1", "dist1 E3", None), vec!["core1"]),
        "import-domain" => (import_domain(4), vec!["sw1", "core1", "far1"]),
        "mark-unsynchronized" => (mark(false), vec!["sw1"]),
        "mark-synchronized" => (mark(true), vec!["sw1"]),
        other => panic!("the row {other} has no scenario"),
    }
}

/// The causes that are open afterwards, and whether the device is synchronized.
fn outcome(facts: &Facts, name: &str) -> (Vec<String>, bool) {
    let causes = facts
        .open_causes(&hostname(name))
        .into_iter()
        .map(|cause| cause.cause);
    let row = facts.device(&hostname(name)).unwrap();
    (causes.collect(), row.sync.synchronized())
}

fn check(row: &Transition, envelope: &Envelope, state: DeviceState, synchronized: bool) {
    let names = scenario(row.id, state, if synchronized { 1 } else { 2 }).1;
    let mut facts = fleet(state, synchronized);
    let what = format!(
        "{} by {} in {state}, synchronized: {synchronized}",
        row.id,
        envelope.message.kind()
    );
    process(envelope, &mut facts).unwrap_or_else(|rejection| panic!("{what}: {rejection}"));
    for name in names {
        let is_new = name == "new1";
        let earlier = (!synchronized && !is_new).then(|| "earlier".to_owned());
        let (causes, is_synchronized) = outcome(&facts, name);
        match row.effect {
            Effect::Nothing => {
                assert_eq!(
                    (causes, is_synchronized),
                    (Vec::from_iter(earlier), synchronized),
                    "{what}: {name}"
                );
            }
            Effect::Synchronize => {
                assert_eq!((causes, is_synchronized), (Vec::new(), true), "{what}: {name}");
            }
            Effect::UnsynchronizeOnlyFor(cause) => {
                assert_eq!(
                    (causes, is_synchronized),
                    (vec![cause.to_string()], false),
                    "{what}: {name}"
                );
            }
            Effect::Unsynchronize(cause) => {
                assert!(!is_synchronized, "{what}: {name}");
                assert_eq!(
                    causes.first() == earlier.as_ref(),
                    earlier.is_some(),
                    "{what}: {name}: {causes:?}"
                );
                assert!(causes.contains(&cause.to_string()), "{what}: {name}: {causes:?}");
            }
        }
    }
}

#[test]
fn the_handlers_do_what_the_table_says_in_every_state() {
    for row in TRANSITIONS.iter().filter(|row| !OUTSIDE.contains(&row.id)) {
        let mut kinds = Vec::new();
        for state in DeviceState::ALL
            .iter()
            .filter(|state| row.states.contain(**state))
        {
            for synchronized in [true, false] {
                let (messages, _) = scenario(row.id, *state, if synchronized { 1 } else { 2 });
                for (kind, data) in &messages {
                    // A device that moves from UNMANAGED to MANAGED moves, whatever else the message says.
                    check(row, &message(*kind, 10, data), *state, synchronized);
                    kinds.push(*kind);
                }
            }
        }
        for kind in row.kinds {
            assert!(kinds.contains(kind), "{}: {kind} is not tested", row.id);
        }
    }
}

#[test]
fn rows_that_no_handler_decides_have_no_message_or_one_of_another_lane() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../protocol/tests/golden");
    for row in TRANSITIONS.iter().filter(|row| OUTSIDE.contains(&row.id)) {
        for kind in row.kinds {
            let bytes = std::fs::read(golden.join(format!("{kind}.json"))).unwrap();
            let message = Envelope::decode(&bytes).unwrap().envelope.message;
            assert!(
                matches!(processing(&message), Some(Processing::Repositories(_))),
                "{}: {kind}",
                row.id
            );
        }
    }
    let by_repositories = TRANSITIONS
        .iter()
        .filter_map(|row| row.effect.cause())
        .filter(|cause| matches!(cause, Cause::RefreshSettings | Cause::RefreshTemplates));
    assert_eq!(by_repositories.count(), 4);
}
