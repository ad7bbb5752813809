//! The client against a simulated NetBox and Nautobot.

use std::time::Duration;

use jiff::Timestamp;
use lockstep_dcim::{Action, Mapped, MappingRules, Model, System, map};
use lockstep_dcim_client::{ChangeLogClient, ClientError, ClientOptions, Completed, ReadChanges};
use lockstep_simulators::netbox::{Change, Fault, Flavor, Inventory};
use serde_json::{Value, json};

const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

fn at(minute: u32) -> String {
    format!("2026-10-05T09:{minute:02}:00Z")
}

fn time(minute: u32) -> Timestamp {
    at(minute).parse().expect("it is a time")
}

async fn simulated(flavor: Flavor) -> (Inventory, ChangeLogClient) {
    let inventory = Inventory::start(flavor, TOKEN).await.expect("it starts");
    let client = client(&inventory, flavor, |_| ());
    (inventory, client)
}

#[expect(clippy::disallowed_methods, reason = "a client of the test")]
fn client(inventory: &Inventory, flavor: Flavor, edit: fn(&mut ClientOptions)) -> ChangeLogClient {
    // Another test of this process may have installed it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let system = if flavor == Flavor::Nautobot {
        System::Nautobot
    } else {
        System::NetBox
    };
    let mut options = ClientOptions::new(
        system,
        inventory.url().parse().expect("it is a URL"),
        TOKEN.into(),
    );
    options.timeout = Duration::from_secs(5);
    options.page = 2;
    edit(&mut options);
    ChangeLogClient::new(http, options)
}

fn device(action: &'static str, id: u64, name: &str, before: Option<&str>) -> Change {
    let flat = |name: &str| json!({"name": name, "role": 2, "status": "active"});
    Change {
        action,
        object_type: "dcim.device",
        path: "dcim/devices",
        object: json!({"id": id, "name": name, "role": {"id": 2, "slug": "access"}, "status": {"value": "active"}}),
        before: before.map_or(Value::Null, flat),
        after: if action == "delete" {
            Value::Null
        } else {
            flat(name)
        },
        request: format!("request-{id}-{action}"),
        user: "anna",
    }
}

async fn completed(client: &ChangeLogClient, read: ReadChanges) -> Vec<Completed> {
    let mut all = Vec::new();
    for logged in read.changes {
        all.push(client.complete(logged).await.expect("it is complete"));
    }
    all
}

fn ids(read: &ReadChanges) -> Vec<&str> {
    read.changes
        .iter()
        .map(|logged| logged.change.object_id.as_str())
        .collect()
}

fn change_of(completed: &Completed) -> &lockstep_dcim::ObjectChange {
    match completed {
        Completed::Change(change) => change,
        Completed::Gone(reason) => panic!("{reason}"),
    }
}

#[tokio::test]
async fn changes_are_read_oldest_first_and_bounded_by_time_and_pages() {
    for flavor in [Flavor::NetBox, Flavor::NetBox40, Flavor::Nautobot] {
        let (inventory, client) = simulated(flavor).await;
        assert_eq!(client.newest().await.unwrap(), None);
        for minute in 1..=7 {
            inventory.change(&device("create", minute.into(), "sw", None), &at(minute));
        }
        assert_eq!(client.newest().await.unwrap(), Some(time(7)));
        let read = client.changes(time(2), time(6)).await.unwrap();
        assert_eq!(ids(&read), ["2", "3", "4", "5", "6"], "{flavor:?}");
        assert_eq!((read.read_until, read.more), (time(6), false));
        let short = self::client(&inventory, flavor, |options| options.pages = 2);
        let read = short.changes(time(1), time(7)).await.unwrap();
        assert_eq!(ids(&read), ["1", "2", "3", "4"]);
        assert_eq!((read.read_until, read.more), (time(4), true), "the rest follows");
    }
}

#[tokio::test]
async fn each_fault_is_an_error_that_says_what_to_do() {
    let (inventory, client) = simulated(Flavor::NetBox).await;
    for minute in 1..=3 {
        inventory.change(&device("create", minute.into(), "sw", None), &at(minute));
    }
    let hurried = self::client(&inventory, Flavor::NetBox, |options| {
        options.timeout = Duration::from_millis(200);
    });
    let elsewhere = Fault::Redirect("http://192.0.2.1/".to_owned());
    let table = [
        (Fault::Status(401), "refused the token (401); check token"),
        (Fault::Status(403), "may view core/object-changes"),
        (Fault::Status(404), "was not found; check url"),
        (Fault::Status(500), "status 500"),
        (Fault::Status(503), "status 503"),
        (Fault::Garbage, "is not that of the API"),
        (Fault::Truncated, "is not that of the API"),
        (elsewhere, "redirects (status 302)"),
        (Fault::Endless, "the pages of core/object-changes repeat"),
        (Fault::Hang, "did not answer within"),
    ];
    for (fault, expected) in table {
        inventory.set_fault(fault.clone());
        let client = if fault == Fault::Hang { &hurried } else { &client };
        let error = client.changes(time(1), time(9)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{fault:?}: {text}");
        assert!(!text.contains(TOKEN), "{text}");
    }
    inventory.set_fault(Fault::None);
    inventory.set_token("another");
    let error = client.newest().await.unwrap_err();
    assert!(
        matches!(error, ClientError::Unauthorized { status: 403, .. }),
        "{error}"
    );
    inventory.set_token(TOKEN);
    assert_eq!(client.changes(time(1), time(9)).await.unwrap().changes.len(), 3);
    let url = inventory.url();
    drop(inventory);
    let error = client.newest().await.unwrap_err();
    assert!(
        error.to_string().contains("cannot reach") && error.to_string().contains(&url),
        "{error}"
    );
}

#[tokio::test]
async fn a_link_to_another_host_gets_no_request() {
    let (inventory, client) = simulated(Flavor::NetBox).await;
    let (other, _) = simulated(Flavor::NetBox).await;
    for minute in 1..=3 {
        inventory.change(&device("create", minute.into(), "sw", None), &at(minute));
    }
    inventory.set_fault(Fault::NextAt(format!(
        "{}/api/core/object-changes/?offset=2",
        other.url()
    )));
    let error = client.changes(time(1), time(9)).await.unwrap_err();
    assert!(
        matches!(error, ClientError::Endless { .. }),
        "it links for ever: {error}"
    );
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    assert!(
        inventory
            .seen()
            .iter()
            .all(|seen| seen.authorization == format!("Token {TOKEN}"))
    );
}

#[tokio::test]
async fn an_entry_that_is_not_readable_is_left_out_and_counted() {
    let (inventory, client) = simulated(Flavor::NetBox).await;
    inventory.change(&device("create", 1, "sw", None), &at(1));
    inventory.change(&device("explode", 2, "sw", None), &at(2));
    inventory.change(&device("create", 3, "sw", None), &at(3));
    let read = client.changes(time(1), time(9)).await.unwrap();
    assert_eq!(ids(&read), ["1", "3"]);
    let (count, reason) = read.unreadable.unwrap();
    assert!(count == 1 && reason.contains("explode"), "{count} {reason}");
}

#[tokio::test]
async fn changes_of_netbox_get_the_object_as_it_is_now_and_the_names_of_then() {
    let (inventory, client) = simulated(Flavor::NetBox).await;
    let mut first = device("update", 1, "two", Some("one"));
    first.request = "another request".to_owned();
    inventory.change(&first, &at(1));
    inventory.change(&device("update", 1, "three", Some("two")), &at(2));
    inventory.change(&device("create", 2, "gone", None), &at(3));
    inventory.change(&device("delete", 2, "gone", Some("gone")), &at(4));
    inventory.add("dcim/device-roles", json!({"id": 2, "slug": "access"}));
    let read = client.changes(time(1), time(9)).await.unwrap();
    let completed = completed(&client, read).await;
    let rules = MappingRules {
        device_types: [("access".to_owned(), "ACCESS".parse().unwrap())].into(),
        ..MappingRules::of_source("main")
    };
    let told = |index: usize| format!("{:?}", map(change_of(&completed[index]), &rules));
    let renamed =
        |from: &str, to: &str| format!("hostname: Hostname({from:?}), new_hostname: Hostname({to:?})");
    assert!(told(0).contains(&renamed("one", "two")), "{}", told(0));
    assert!(told(1).contains(&renamed("two", "three")), "{}", told(1));
    assert!(matches!(&completed[2], Completed::Gone(_)), "deleted since");
    assert!(told(3).contains("Removed"), "the role was looked up: {}", told(3));
}

#[tokio::test]
async fn a_deleted_cable_and_interface_of_netbox_are_restored_from_what_is_left() {
    let (inventory, client) = simulated(Flavor::NetBox).await;
    let interface = |id: u64, device: &str| json!({"id": id, "name": format!("Ethernet{id}"), "device": {"id": 1, "name": device}});
    inventory.add("dcim/interfaces", interface(1, "sw1"));
    inventory.add("dcim/interfaces", interface(2, "sw2"));
    inventory.add("dcim/devices", json!({"id": 1, "name": "sw1"}));
    let deleted = |object_type: &'static str, path: &'static str, id: u64, before: Value| Change {
        action: "delete",
        object_type,
        path,
        object: json!({"id": id}),
        before,
        after: Value::Null,
        request: "one request".to_owned(),
        user: "anna",
    };
    let end = |id: u64, side: &str| json!({"cable": 88, "cable_end": side, "termination_type": 55, "termination_id": id});
    for (id, side) in [(1, "A"), (2, "B")] {
        let change = deleted(
            "dcim.cabletermination",
            "dcim/cable-terminations",
            170 + id,
            end(id, side),
        );
        inventory.change(&change, &at(1));
    }
    inventory.change(
        &deleted("dcim.cable", "dcim/cables", 88, json!({"status": "connected"})),
        &at(1),
    );
    let of_device = |id: u64, device: u64| json!({"name": format!("Ethernet{id}"), "device": device});
    inventory.change(
        &deleted("dcim.interface", "dcim/interfaces", 9, of_device(9, 1)),
        &at(2),
    );
    inventory.change(
        &deleted("dcim.interface", "dcim/interfaces", 8, of_device(8, 7)),
        &at(3),
    );
    let read = client.changes(time(1), time(9)).await.unwrap();
    let rules = MappingRules::of_source("main");
    let mut told = Vec::new();
    for completed in completed(&client, read).await {
        match completed {
            Completed::Change(change) if matches!(change.model, Model::Other(_)) => {}
            Completed::Change(change) => {
                assert_eq!(change.action, Action::Deleted);
                told.push(format!("{:?}", map(&change, &rules)));
            }
            Completed::Gone(reason) => told.push(reason),
        }
    }
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told[0].contains("Removed") && told[0].contains("sw1") && told[0].contains("sw2"),
        "{told:?}"
    );
    assert!(
        told[1].contains("InterfaceUpdated") && told[1].contains("Ethernet9"),
        "{told:?}"
    );
    assert_eq!(told[2], "the device of the interface does not exist any more");
}

#[tokio::test]
async fn nautobot_is_asked_for_the_fields_before_and_the_devices_at_a_cable() {
    let (inventory, client) = simulated(Flavor::Nautobot).await;
    let uuid = |number: u32| format!("{number:08x}-372b-46df-a50a-c26357475bee");
    let interface = |number: u32, device: Value| json!({"id": uuid(number), "name": format!("Ethernet{number}"), "device": device});
    for (number, name) in [(1, "sw1"), (2, "sw2")] {
        inventory.add(
            "dcim/interfaces",
            interface(number, json!({"id": uuid(50 + number), "name": name})),
        );
    }
    let change = |action, object_type, path, object: Value| Change {
        action,
        object_type,
        path,
        object,
        before: Value::Null,
        after: Value::Null,
        request: "a".to_owned(),
        user: "anna",
    };
    let named = |name: &str| json!({"id": uuid(7), "name": name, "last_updated": name});
    inventory.change(
        &change("create", "dcim.device", "dcim/devices", named("one")),
        &at(1),
    );
    inventory.change(
        &change("update", "dcim.device", "dcim/devices", named("two")),
        &at(2),
    );
    let cable = json!({
        "id": uuid(88),
        "status": {"name": "Connected"},
        "termination_a_type": "dcim.interface",
        "termination_a_id": uuid(1),
        "termination_a": interface(1, json!({"id": uuid(51)})),
        "termination_b_type": "dcim.interface",
        "termination_b_id": uuid(2),
        "termination_b": interface(2, json!({"id": uuid(52)})),
    });
    inventory.change(&change("create", "dcim.cable", "dcim/cables", cable), &at(3));
    let read = client.changes(time(1), time(9)).await.unwrap();
    let completed = completed(&client, read).await;
    let updated = change_of(&completed[1]);
    assert_eq!(
        updated.before.as_ref().map(|before| &before["name"]),
        Some(&json!("one"))
    );
    let mapped = map(change_of(&completed[2]), &MappingRules::of_source("main"));
    assert!(matches!(&mapped, Mapped::Events(_)), "{mapped:?}");
    let mapped = format!("{mapped:?}");
    assert!(
        mapped.contains("LinknetChanged") && mapped.contains("sw1") && mapped.contains("sw2"),
        "{mapped}"
    );
}
