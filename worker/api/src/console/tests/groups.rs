//! Groups, and which devices a sync run contacts.

use lockstep_protocol::DeviceState;
use lockstep_store::{Device, DeviceId, Group, GroupRuleSummary, Lifecycle};
use serde_json::{Value, json};

use super::{Scene, scene};
use crate::fakes::device;

fn group(name: &str, rule: Option<GroupRuleSummary>) -> Group {
    Group {
        id: Some(7),
        name: name.to_owned().try_into().unwrap(),
        location: None,
        rule,
        members: 3,
        listed: 1,
        by_rule: 2,
        primary: 2,
    }
}

fn in_state(id: i64, hostname: &str, synchronized: bool, state: DeviceState) -> Device {
    let device = device(id, hostname, synchronized);
    Device {
        lifecycle: Lifecycle {
            state,
            ..device.lifecycle.clone()
        },
        ..device
    }
}

fn fleet() -> Scene {
    let scene = scene();
    *scene.store.devices.lock().unwrap() = vec![
        device(1, "sw1", false),
        device(2, "sw2", true),
        in_state(3, "sw3", false, DeviceState::Unmanaged),
        device(4, "sw4", false),
    ];
    let edge = vec!["EDGE".to_owned().try_into().unwrap()];
    *scene.store.groups.lock().unwrap() = [(DeviceId(2), edge.clone()), (DeviceId(3), edge)].into();
    let rule = GroupRuleSummary {
        regex: Some("sw".to_owned()),
        hostnames: 0,
        priority: 9,
        position: 1,
    };
    *scene.store.known_groups.lock().unwrap() = vec![group("EDGE", Some(rule)), group("LUND", None)];
    scene
}

#[tokio::test]
async fn groups_are_paged_and_one_has_its_members() {
    let scene = fleet();
    let page = scene.get("/v1/groups?limit=1").await.body;
    let edge = json!({
        "id": 7, "name": "EDGE", "location": null, "members": 3, "listed": 1, "by_rule": 2, "primary": 2,
        "rule": {"regex": "sw", "hostnames": 0, "priority": 9, "position": 1},
    });
    assert_eq!(page, json!({"groups": [edge], "next": "EDGE"}));
    let rest = scene.get("/v1/groups?limit=1&after=EDGE").await.body;
    assert_eq!(rest["groups"][0]["name"], "LUND");
    assert_eq!(
        (&rest["groups"][0]["rule"], rest.get("next")),
        (&Value::Null, None)
    );
    let one = scene.get("/v1/groups/EDGE").await.body;
    assert_eq!(one, json!({"group": edge, "devices": ["sw2", "sw3"]}));
    let unknown = scene.get("/v1/groups/edge").await;
    assert_eq!(unknown.problem(), (404, "unknown-group"));
    assert_eq!(
        unknown.body["detail"],
        "no group is named \"edge\"; there are EDGE, LUND"
    );
}

#[tokio::test]
async fn a_selection_names_what_is_skipped_with_the_reason() {
    let scene = fleet();
    let skipped = |hostname: &str, reason: &str| json!({"hostname": hostname, "reason": reason});
    let unmanaged = || skipped("sw3", "state UNMANAGED");
    let table = [
        (
            "all=true",
            json!({"selected": ["sw1", "sw4"], "skipped": [skipped("sw2", "synchronized"), unmanaged()]}),
        ),
        (
            "all=true&resync=true",
            json!({"selected": ["sw1", "sw2", "sw4"], "skipped": [unmanaged()]}),
        ),
        (
            "group=EDGE",
            json!({"selected": [], "skipped": [skipped("sw2", "synchronized"), unmanaged()]}),
        ),
        (
            "group=EDGE&resync=true",
            json!({"selected": ["sw2"], "skipped": [unmanaged()]}),
        ),
        (
            "device_type=ACCESS&limit=1",
            json!({"selected": ["sw1"], "skipped": [], "next": "sw1"}),
        ),
        (
            "device_type=ACCESS&limit=2&after=sw2",
            json!({"selected": ["sw4"], "skipped": [unmanaged()]}),
        ),
        ("hostname=sw2", json!({"selected": ["sw2"], "skipped": []})),
        (
            "hostname=sw3&resync=true",
            json!({"selected": [], "skipped": [unmanaged()]}),
        ),
    ];
    for (query, expected) in table {
        let answer = scene.get(&format!("/v1/sync/selection?{query}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body),
            (200, &expected),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_selection_needs_one_target_that_exists() {
    let scene = fleet();
    let table = [
        ("", 400, "invalid-query", "exactly one target"),
        ("resync=true", 400, "invalid-query", "exactly one target"),
        ("all=true&group=EDGE", 400, "invalid-query", "exactly one target"),
        (
            "hostname=sw1&device_type=ACCESS",
            400,
            "invalid-query",
            "exactly one target",
        ),
        ("device_type=LEAF", 400, "invalid-query", "there are ACCESS"),
        ("group=NOBODY", 404, "unknown-group", "there are EDGE, LUND"),
        ("hostname=sw9", 404, "unknown-device", "no device is named"),
        ("hostname=a_b", 404, "unknown-device", "no device is named"),
    ];
    for (query, status, code, detail) in table {
        let answer = scene.get(&format!("/v1/sync/selection?{query}")).await;
        assert_eq!(answer.problem(), (status, code), "{query}");
        assert!(
            answer.body["detail"].as_str().unwrap().contains(detail),
            "{query}: {}",
            answer.body
        );
    }
}
