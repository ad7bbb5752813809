//! Recorded webhooks, and the events that they lead to.

use lockstep_protocol::{DeviceState, DeviceType, Envelope, Kind};
use serde_json::{Value, json};

use super::netbox::Reported;
use super::*;

macro_rules! payload {
    ($name:literal) => {
        include_bytes!(concat!("../tests/payloads/", $name, ".json"))
    };
}

fn rules() -> MappingRules {
    let types = [
        ("access-switch", "ACCESS"),
        ("access switch", "ACCESS"),
        ("leaf", "DIST"),
    ];
    let device_type = |(role, name): (&str, &str)| (role.to_owned(), name.parse::<DeviceType>().unwrap());
    MappingRules {
        device_types: types.into_iter().map(device_type).collect(),
        ..MappingRules::of_source("main")
    }
}

fn change(system: System, body: &[u8]) -> ObjectChange {
    let reported = match system {
        System::NetBox => netbox::webhook(body),
        System::Nautobot => nautobot::webhook(body),
    };
    match reported.unwrap() {
        Reported::Change(change) => *change,
        Reported::Other(why) => panic!("{why}"),
    }
}

fn of(system: System, body: &[u8]) -> Value {
    let mut value: Value = serde_json::from_slice(body).unwrap();
    value["system"] = system.as_str().into();
    value
}

/// The change of a webhook after its body was edited.
fn edited(body: &[u8], edit: impl FnOnce(&mut Value)) -> ObjectChange {
    let mut value = of(System::NetBox, body);
    edit(&mut value);
    change(System::NetBox, value.to_string().as_bytes())
}

/// What a change becomes: the types and the data of its messages.
fn mapped(change: &ObjectChange, rules: &MappingRules) -> Result<Vec<(Kind, Value)>, String> {
    match map(change, rules) {
        Mapped::Events(events) => {
            let cause = cause(source(change.system, "main").unwrap(), change, b"");
            let sent = messages(&cause, change, events);
            // What is published can be decoded: it is within all bounds.
            let decoded = sent
                .iter()
                .map(|message| Envelope::decode(&message.encode()).unwrap().envelope);
            let data = |message: Envelope| (message.message.kind(), message.message.to_data());
            Ok(decoded.map(data).collect())
        }
        Mapped::Ignored(reason) => Err(reason),
    }
}

fn one(change: &ObjectChange, rules: &MappingRules) -> (Kind, Value) {
    let mut all = mapped(change, rules).unwrap();
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

const DEVICE_CREATED: &[u8] = payload!("netbox-4.6-device-created");
const DEVICE_RENAMED: &[u8] = payload!("netbox-4.6-device-renamed");
const DEVICE_DELETED: &[u8] = payload!("netbox-4.6-device-deleted");
const DEVICE_STATUS: &[u8] = payload!("netbox-4.2-device-status");
const INTERFACE_UPDATED: &[u8] = payload!("netbox-4.6-interface-updated");
const CABLE_CREATED: &[u8] = payload!("netbox-4.6-cable-created");

#[test]
fn a_new_device_is_imported_with_its_groups_and_data() {
    let mut rules = rules();
    rules.groups = GroupKind::ALL.to_vec();
    rules.platforms.insert("eos".to_owned(), "arista_eos".to_owned());
    let (kind, data) = one(&change(System::NetBox, DEVICE_CREATED), &rules);
    assert_eq!(kind, Kind::InventoryImported);
    let groups = [
        "site_berlin",
        "location_berlin-hall-2",
        "tag_edge",
        "tenant_campus",
        "rack_R09",
        "role_access-switch",
        "platform_eos",
    ];
    assert_eq!(
        data["devices"],
        json!([{
            "hostname": "sw1",
            "device_type": "ACCESS",
            "platform": "arista_eos",
            "initial_state": "MANAGED",
            "management_ip": "192.0.2.12",
            "serial": "JPE19190012",
            "vendor": "Arista",
            "model": "DCS-7050SX3-48YC8",
            "groups": groups,
            "data": {"netbox": {
                "id": 12,
                "status": "active",
                "face": "front",
                "role": "access-switch",
                "site": "berlin",
                "location": "berlin-hall-2",
                "tenant": "campus",
                "rack": "R09",
                "platform": "eos",
                "position": 40.0,
                "custom_fields": {"maintenance_window": "sunday"},
                "tags": ["edge"],
            }},
        }])
    );
    let locations: Vec<&Value> = data["groups"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|group| group["location"] == true)
        .collect();
    assert_eq!(locations.len(), 2, "site and location");
}

#[test]
fn a_device_of_nautobot_is_found_by_the_names_of_its_references() {
    let (kind, data) = one(
        &change(System::Nautobot, payload!("nautobot-2-device-created")),
        &rules(),
    );
    let device = &data["devices"][0];
    assert_eq!(kind, Kind::InventoryImported);
    assert_eq!(device["device_type"], "ACCESS");
    assert_eq!(device["initial_state"], "MANAGED");
    assert_eq!(device["platform"], "Arista EOS");
    assert_eq!(device["management_ip"], "192.0.2.12");
    assert_eq!(device["groups"], json!(["location_Campus A"]));
    assert_eq!(
        device["data"]["nautobot"]["custom_fields"],
        json!({"site_code": "A"})
    );
}

#[test]
fn a_role_without_a_device_type_is_ignored_and_the_reason_names_the_key() {
    let mut rules = rules();
    rules.device_types.remove("access-switch");
    let reason = mapped(&change(System::NetBox, DEVICE_CREATED), &rules).unwrap_err();
    assert!(
        reason.contains("\"access-switch\"") && reason.contains("sources.main.device_types"),
        "{reason}"
    );
    rules.default_type = Some(DeviceType::UNKNOWN);
    let (_, data) = one(&change(System::NetBox, DEVICE_CREATED), &rules);
    assert_eq!(data["devices"][0]["device_type"], "UNKNOWN");
}

#[test]
fn a_device_with_another_name_is_renamed_and_imported_only_if_more_changed() {
    for (system, body) in [
        (System::NetBox, DEVICE_RENAMED),
        (System::Nautobot, &payload!("nautobot-2-device-renamed")[..]),
    ] {
        let (kind, data) = one(&change(system, body), &rules());
        assert_eq!(
            (kind, data),
            (
                Kind::DeviceRenamed,
                json!({"hostname": "sw1", "new_hostname": "sw1-new"})
            )
        );
    }
    let more = edited(DEVICE_RENAMED, |body| {
        body["snapshots"]["prechange"]["serial"] = json!("OLD");
    });
    let all = mapped(&more, &rules()).unwrap();
    let kinds: Vec<Kind> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::InventoryImported, Kind::DeviceRenamed]);
    assert_eq!(all[0].1["devices"][0]["hostname"], "sw1", "under the name before");
}

#[test]
fn names_that_are_no_hostnames_are_ignored() {
    for (name, expected) in [
        (json!(null), "has no name"),
        (json!("core 1"), "is not a hostname"),
    ] {
        let change = edited(DEVICE_CREATED, |body| {
            body["data"]["name"] = name.clone();
            body["snapshots"]["postchange"]["name"] = name.clone();
        });
        let reason = mapped(&change, &rules()).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
    }
    // The device of another name before is new to Lockstep.
    let named = edited(DEVICE_RENAMED, |body| {
        body["snapshots"]["prechange"]["name"] = json!(null);
    });
    assert_eq!(one(&named, &rules()).0, Kind::InventoryImported);
}

#[test]
fn a_state_changes_only_where_devices_follow_their_status() {
    let status = change(System::NetBox, DEVICE_STATUS);
    let (kind, data) = one(&status, &rules());
    assert_eq!(kind, Kind::InventoryImported);
    assert_eq!(
        data["devices"][0]["state"],
        Value::Null,
        "a device that exists keeps its state"
    );
    assert_eq!(data["devices"][0]["initial_state"], "PRE_CONFIGURED");
    let mut following = rules();
    following.follow_status = true;
    assert_eq!(
        mapped(&status, &following).unwrap().len(),
        1,
        "the status has no state"
    );
    following
        .states
        .insert("decommissioning".to_owned(), DeviceState::Unmanaged);
    let all = mapped(&status, &following).unwrap();
    assert_eq!(
        all[1],
        (
            Kind::DeviceStateChanged,
            json!({"hostname": "arista-leaf-01", "state": "UNMANAGED"})
        )
    );
    let same = edited(DEVICE_STATUS, |body| {
        body["snapshots"]["prechange"]["status"] = json!("decommissioning");
    });
    assert_eq!(
        mapped(&same, &following).unwrap().len(),
        1,
        "the status did not change"
    );
}

#[test]
fn a_deleted_device_is_removed() {
    let (kind, data) = one(&change(System::NetBox, DEVICE_DELETED), &rules());
    assert_eq!((kind, data), (Kind::DeviceRemoved, json!({"hostname": "sw1"})));
}

#[test]
fn data_that_is_too_large_is_left_out_by_name() {
    let large = edited(DEVICE_CREATED, |body| {
        body["data"]["config_context"] = json!({"text": "x".repeat(40_000)});
        body["data"]["local_context_data"] = json!({"text": "y".repeat(40_000)});
    });
    let (_, data) = one(&large, &rules());
    let kept = &data["devices"][0]["data"]["netbox"];
    assert_eq!(kept["omitted"], json!(["config_context"]));
    assert!(kept["local_context_data"].is_object() && kept["config_context"].is_null());
}

#[test]
fn an_interface_is_updated_if_a_field_of_its_configuration_changed() {
    let configuration = json!({
        "description": "printer",
        "enabled": true,
        "mgmt_only": false,
        "mode": "tagged",
        "tagged_vlans": [200],
        "type": "25gbase-x-sfp28",
        "untagged_vlan": 100,
    });
    let (kind, data) = one(&change(System::NetBox, INTERFACE_UPDATED), &rules());
    let expected = json!({
        "hostname": "sw1",
        "interfaces": [{"name": "Ethernet1", "configuration": configuration}],
        "kind": "configuration",
    });
    assert_eq!((kind, data), (Kind::InterfaceUpdated, expected));
    let (_, data) = one(
        &change(System::Nautobot, payload!("nautobot-2-interface-updated")),
        &rules(),
    );
    assert_eq!(data["interfaces"][0]["configuration"]["untagged_vlan"], 100);
    assert_eq!(data["interfaces"][0]["configuration"]["status"], "Active");

    let unchanged = |body: &mut Value| {
        body["snapshots"]["prechange"] = body["snapshots"]["postchange"].clone();
        body["snapshots"]["prechange"]["cable"] = json!(88);
    };
    let reason = mapped(&edited(INTERFACE_UPDATED, unchanged), &rules()).unwrap_err();
    assert!(reason.contains("no field"), "{reason}");
    let without = edited(INTERFACE_UPDATED, |body| body["snapshots"] = Value::Null);
    assert_eq!(
        one(&without, &rules()).0,
        Kind::InterfaceUpdated,
        "what is not known has changed"
    );
}

#[test]
fn a_deleted_or_renamed_interface_has_no_configuration() {
    let (kind, data) = one(
        &change(System::NetBox, payload!("netbox-4.6-interface-deleted")),
        &rules(),
    );
    assert_eq!(
        (kind, &data["interfaces"]),
        (Kind::InterfaceUpdated, &json!([{"name": "Ethernet1"}]))
    );
    let renamed = edited(INTERFACE_UPDATED, |body| {
        body["snapshots"]["prechange"]["name"] = json!("Et1");
    });
    let (_, data) = one(&renamed, &rules());
    assert_eq!(data["interfaces"][1], json!({"name": "Et1"}));
}

#[test]
fn a_cable_between_two_interfaces_is_a_link_while_it_is_connected() {
    let flat = |status: &str| json!({"status": status, "a_terminations": [175], "b_terminations": [176]});
    let with = |event: &str, before: Option<&str>, after: &str| {
        edited(CABLE_CREATED, |body| {
            body["event"] = event.into();
            body["data"]["status"] = json!({"value": after});
            body["snapshots"] = json!({"prechange": before.map(flat), "postchange": flat(after)});
        })
    };
    let table = [
        (with("created", None, "connected"), Ok("added")),
        (with("created", None, "planned"), Err("planned")),
        (with("updated", Some("planned"), "connected"), Ok("added")),
        (
            with("updated", Some("connected"), "connected"),
            Err("neither the status nor an end"),
        ),
        (
            with("updated", Some("connected"), "decommissioning"),
            Ok("removed"),
        ),
        (
            with("updated", Some("planned"), "decommissioning"),
            Err("decommissioning"),
        ),
        (with("deleted", Some("connected"), "connected"), Ok("removed")),
    ];
    for (change, expected) in table {
        match (mapped(&change, &rules()), expected) {
            (Ok(events), Ok(action)) => {
                let ends = json!({
                    "action": action,
                    "a": {"hostname": "sw1", "interface": "Ethernet49"},
                    "b": {"hostname": "core1", "interface": "Ethernet1"},
                });
                assert_eq!(events, [(Kind::LinknetChanged, ends)]);
            }
            (Err(reason), Err(part)) => assert!(reason.contains(part), "{reason}"),
            (found, expected) => panic!("{found:?}, expected {expected:?}"),
        }
    }
    let console = edited(CABLE_CREATED, |body| {
        body["data"]["a_terminations"][0]["object_type"] = "dcim.consoleport".into();
    });
    assert!(
        mapped(&console, &rules())
            .unwrap_err()
            .contains("dcim.consoleport")
    );
    let splitter = edited(CABLE_CREATED, |body| {
        let end = body["data"]["a_terminations"][0].clone();
        body["data"]["a_terminations"] = json!([end, end]);
    });
    assert!(
        mapped(&splitter, &rules())
            .unwrap_err()
            .contains("has 2 a_terminations")
    );
    let nautobot = change(System::Nautobot, payload!("nautobot-2-cable-created"));
    let reason = mapped(&nautobot, &rules()).unwrap_err();
    assert!(reason.contains("the poll"), "{reason}");
}

#[test]
fn an_address_at_an_interface_is_part_of_its_configuration() {
    let body = payload!("netbox-3.5-ip-address-updated");
    assert!(
        mapped(&change(System::NetBox, body), &rules())
            .unwrap_err()
            .contains("at no interface")
    );
    let at_interface = |field: &'static str| {
        edited(body, |body| {
            body["data"]["assigned_object_type"] = "dcim.interface".into();
            body["data"]["assigned_object"] =
                json!({"id": 501, "name": "Ethernet1", "device": {"id": 12, "name": "sw1"}});
            body["snapshots"]["prechange"][field] = "before".into();
        })
    };
    let (kind, data) = one(&at_interface("address"), &rules());
    assert_eq!(
        (kind, &data["hostname"], &data["interfaces"]),
        (
            Kind::InterfaceUpdated,
            &json!("sw1"),
            &json!([{"name": "Ethernet1"}])
        )
    );
    assert!(
        mapped(&at_interface("dns_name"), &rules()).is_err(),
        "a name is no configuration"
    );
}

#[test]
fn other_objects_and_events_are_ignored_with_a_reason() {
    let rack = edited(DEVICE_CREATED, |body| body["object_type"] = "dcim.rack".into());
    assert!(mapped(&rack, &rules()).unwrap_err().contains("dcim.rack"));
    let job = json!({"event": "job_ended", "timestamp": "2026-10-05T09:30:15Z", "object_type": "extras.script", "data": {}});
    let Reported::Other(why) = netbox::webhook(job.to_string().as_bytes()).unwrap() else {
        panic!("a job is no change");
    };
    assert!(why.contains("job_ended"), "{why}");
}

#[test]
fn errors_have_the_place() {
    let place = |edit: fn(&mut Value)| {
        let mut body = of(System::NetBox, DEVICE_CREATED);
        edit(&mut body);
        let error = netbox::webhook(body.to_string().as_bytes()).unwrap_err();
        (error.syntax, error.place)
    };
    assert_eq!(
        place(|body| body["timestamp"] = "soon".into()),
        (false, "$.timestamp".to_owned())
    );
    assert_eq!(
        place(|body| body["data"] = json!({"id": []})),
        (false, "$.data.id".to_owned())
    );
    assert_eq!(
        place(|body| body["object_type"] = Value::Null),
        (false, "$".to_owned())
    );
    assert_eq!(
        place(|body| body["snapshots"] = json!(7)),
        (false, "$.snapshots".to_owned())
    );
    for cut in (0..DEVICE_CREATED.len()).step_by(97) {
        assert!(
            netbox::webhook(&DEVICE_CREATED[..cut]).unwrap_err().syntax,
            "cut at {cut}"
        );
    }
}

#[test]
fn the_change_log_leads_to_the_messages_of_the_webhook() {
    let webhook = change(System::NetBox, INTERFACE_UPDATED);
    let entry = json!({
        "id": 4711, "url": "/api/core/object-changes/4711/", "display_url": "/core/changelog/4711/", "display": "…",
        "time": "2026-10-05T09:30:15.600000Z", "user": {"id": 2, "username": "anna"}, "user_name": "anna",
        "request_id": webhook.request_id, "action": {"value": "update", "label": "Updated"},
        "changed_object_type": "dcim.interface", "changed_object_id": 501, "changed_object": {"id": 501}, "object_repr": "Ethernet1",
        "message": "", "prechange_data": webhook.before, "postchange_data": webhook.after,
    });
    let (id, mut logged) = netbox::entry(&entry).unwrap();
    logged.object = webhook.object.clone();
    assert_eq!(id, "4711");
    assert_eq!(mapped(&logged, &rules()), mapped(&webhook, &rules()));
    let source = || source(System::NetBox, "main").unwrap();
    let (one, other) = (
        cause(source(), &webhook, b"one"),
        cause(source(), &logged, b"other"),
    );
    assert_eq!(message_id(&one, 0), message_id(&other, 0));

    let hook = change(System::Nautobot, payload!("nautobot-2-interface-updated"));
    let entry = json!({
        "id": "0c7bd0ee-372b-46df-a50a-c26357475bee", "object_type": "extras.objectchange", "display": "…",
        "time": "2026-10-05T09:30:15.600000Z", "user_name": "anna", "request_id": hook.request_id,
        "action": {"value": "update", "label": "Updated"}, "changed_object_type": "dcim.interface", "changed_object_id": hook.object_id,
        "change_context": {"value": "web", "label": "Web"}, "object_repr": "Ethernet1", "object_data": {}, "object_data_v2": hook.object,
    });
    let (_, mut logged) = nautobot::entry(&entry).unwrap();
    logged.before.clone_from(&hook.before);
    assert_eq!(mapped(&logged, &rules()), mapped(&hook, &rules()));
    let source = || super::source(System::Nautobot, "main").unwrap();
    assert_eq!(cause(source(), &hook, b"one"), cause(source(), &logged, b"other"));
}

#[test]
fn changes_of_other_requests_objects_and_sources_have_other_ids() {
    let first = change(System::NetBox, INTERFACE_UPDATED);
    let of = |name: &str, change: &ObjectChange, body: &[u8]| {
        cause(source(System::NetBox, name).unwrap(), change, body)
    };
    let id = of("main", &first, b"");
    let changed = |edit: fn(&mut ObjectChange)| {
        let mut change = first.clone();
        edit(&mut change);
        change
    };
    assert_ne!(id, of("other", &first, b""));
    assert_ne!(
        id,
        of(
            "main",
            &changed(|change| change.request_id = Some("other".to_owned())),
            b""
        )
    );
    assert_ne!(
        id,
        of(
            "main",
            &changed(|change| change.object_id = "502".to_owned()),
            b""
        )
    );
    assert_ne!(
        id,
        of("main", &changed(|change| change.model = Model::Device), b"")
    );
    let without = changed(|change| change.request_id = None);
    assert_ne!(of("main", &without, b"one"), of("main", &without, b"other"));
    assert_eq!(of("main", &without, b"one"), of("main", &without, b"one"));
}

#[test]
fn the_steps_of_a_request_are_one_change_of_each_object() {
    let step = |action: &str, object: u64, request: &str, before: Value, after: Value| {
        let entry = json!({
            "id": 1, "time": "2026-10-05T09:30:15Z", "request_id": request, "action": {"value": action},
            "changed_object_type": "dcim.device", "changed_object_id": object, "prechange_data": before, "postchange_data": after,
        });
        netbox::entry(&entry).unwrap().1
    };
    let combined = netbox::coalesce(vec![
        step("create", 1, "a", Value::Null, json!({"name": "one"})),
        step("update", 2, "a", json!({"name": "x"}), json!({"name": "y"})),
        step("update", 1, "a", json!({"name": "one"}), json!({"name": "two"})),
        step("delete", 2, "a", json!({"name": "y"}), Value::Null),
        step("update", 1, "b", json!({"name": "two"}), json!({"name": "three"})),
    ]);
    let found: Vec<(Action, &str, Option<&str>, Option<&str>)> = combined
        .iter()
        .map(|change| {
            (
                change.action,
                change.object_id.as_str(),
                change.name_before(),
                change.name(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (Action::Created, "1", None, Some("two")),
            (Action::Deleted, "2", Some("x"), None),
            (Action::Updated, "1", Some("two"), Some("three")),
        ]
    );
}

#[test]
fn events_of_one_change_follow_one_another_in_time() {
    let more = edited(DEVICE_RENAMED, |body| {
        body["snapshots"]["prechange"]["serial"] = json!("OLD");
    });
    let Mapped::Events(events) = map(&more, &rules()) else {
        panic!("the device was renamed");
    };
    let cause = cause(source(System::NetBox, "main").unwrap(), &more, b"");
    let sent = messages(&cause, &more, events);
    assert!(sent[0].time < sent[1].time);
    assert_eq!(sent[1].time, Some(more.at));
    assert_eq!(
        sent[0].causationid.as_deref(),
        Some("/webhooks/netbox/main 05c732a7-58f6-43ec-bbd9-26ce3e83da92")
    );
}
