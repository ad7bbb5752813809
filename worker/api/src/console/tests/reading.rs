//! Devices and the outcomes of messages.

use std::sync::Arc;
use std::time::Duration;

use lockstep_protocol::Digest;
use lockstep_store::{
    AgedDevice, Ages, CauseId, CauseRow, Device, DeviceId, HistoryChange, HistoryEntry, HistoryEvent,
    HistoryRow, Hostnames, InboxRow, InboxState, LinkedInterface, ManagementDomain, Surroundings,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{applied, identity, scene};
use crate::fakes::device;

#[tokio::test]
async fn devices_are_filtered_and_paged() {
    let scene = scene();
    *scene.store.devices.lock().unwrap() = vec![
        device(1, "sw1", true),
        device(2, "sw2", false),
        device(3, "sw3", false),
        device(4, "sw4", false),
    ];
    let names = |body: &Value| -> Vec<String> {
        let devices = body["devices"].as_array().unwrap();
        devices
            .iter()
            .map(|device| device["hostname"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = scene
        .get("/v1/devices?synchronized=false&limit=2&state=managed&device_type=ACCESS")
        .await;
    assert_eq!(first.status, 200);
    assert_eq!(names(&first.body), ["sw2", "sw3"]);
    assert_eq!(first.body["next"], "sw3");
    assert!(first.body.get("total").is_none(), "counting costs time");
    let counted = scene
        .get("/v1/devices?synchronized=false&limit=1&total=true&after=sw3")
        .await;
    assert_eq!(
        (&counted.body["total"], names(&counted.body)),
        (&json!(3), vec!["sw4".to_owned()])
    );
    let last = scene
        .get("/v1/devices?synchronized=false&limit=2&after=sw3")
        .await;
    assert_eq!(names(&last.body), ["sw4"]);
    assert!(last.body.get("next").is_none());
    assert_eq!(scene.get("/v1/devices/sw1").await.body["synchronized"], true);
}

#[tokio::test]
async fn a_device_has_its_groups_and_its_open_causes_in_order() {
    let scene = scene();
    let cause = |id: &str| CauseRow {
        cause: "interface_updated".to_owned(),
        identity: identity(id),
        kind: "lockstep.interface.updated".to_owned(),
        actor: Some("netbox".into()),
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
        note: Some("by hand".to_owned()),
        detail: None,
    };
    let flagged = |id, hostname: &str, causes: &[i64]| Device {
        open_causes: causes.iter().copied().map(CauseId).collect(),
        ..device(id, hostname, false)
    };
    // The second device lists a cause that was deleted since.
    *scene.store.devices.lock().unwrap() = vec![flagged(1, "sw1", &[8, 7]), flagged(2, "sw2", &[7, 9])];
    *scene.store.groups.lock().unwrap() = [(DeviceId(1), vec!["Lund".to_owned().try_into().unwrap()])].into();
    *scene.store.causes.lock().unwrap() = [(CauseId(7), cause("seven")), (CauseId(8), cause("eight"))].into();

    let shown = |id: &str| {
        json!({
            "cause": "interface_updated", "event": "lockstep.interface.updated", "source": "urn:test", "id": id,
            "at": "2026-02-03T04:05:06Z", "by": "netbox", "note": "by hand",
        })
    };
    let first = json!({
        "id": 1, "hostname": "sw1", "device_type": "ACCESS", "platform": null, "state": "MANAGED", "note": null,
        "until": null, "synchronized": false, "unsynchronized_since": null, "desired_generation": 2,
        "synced_generation": 1, "management_ip": null, "mac": null, "serial": null, "vendor": null, "model": null,
        "os_version": null, "checked_at": null, "controller": null, "groups": ["Lund"], "primary_group": null, "causes": [shown("eight"), shown("seven")], "marked": null,
    });
    let page = scene.get("/v1/devices").await.body;
    assert_eq!(page["devices"][0], first);
    assert_eq!(page["devices"][1]["groups"], json!([]));
    assert_eq!(page["devices"][1]["causes"], json!([shown("seven")]));
    assert_eq!(scene.get("/v1/devices/sw1").await.body, first);
}

fn explained(id: &str) -> CauseRow {
    let detail = json!({
        "commit": {"repository": "settings", "id": "6".repeat(40), "author": "Ada", "subject": "New route"},
        "paths": [
            {"path": "devices/sw1/x.yml", "hostname": "sw1"},
            {"path": "devices/sw2/x.yml", "hostname": "sw2"},
            {"path": "groups/LAB/x.yml", "group": "LAB"},
        ],
    });
    CauseRow {
        cause: "refresh_settings".to_owned(),
        identity: identity(id),
        kind: "lockstep.repository.changed".to_owned(),
        actor: Some("gateway".into()),
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
        note: None,
        detail: Some(Arc::new(serde_json::from_value(detail).unwrap())),
    }
}

#[tokio::test]
async fn one_device_has_the_details_of_its_causes_that_concern_it_and_lists_have_none() {
    let scene = scene();
    let flagged = Device {
        open_causes: vec![CauseId(7)],
        ..device(1, "sw1", false)
    };
    *scene.store.devices.lock().unwrap() = vec![flagged];
    *scene.store.causes.lock().unwrap() = [(CauseId(7), explained("seven"))].into();
    let shown = async || scene.get("/v1/devices/sw1").await.body["causes"][0].clone();
    let paths = |cause: &Value| -> Vec<String> {
        let paths = cause["paths"].as_array().unwrap().iter();
        paths
            .map(|path| path["path"].as_str().unwrap().to_owned())
            .collect()
    };
    let cause = shown().await;
    assert_eq!(cause["commit"]["author"], "Ada");
    assert_eq!(
        paths(&cause),
        ["devices/sw1/x.yml", "groups/LAB/x.yml"],
        "its group is not known"
    );
    assert!(
        cause.get("interfaces").is_none() && cause.get("more_paths").is_none(),
        "{cause}"
    );
    scene.store.devices.lock().unwrap()[0].primary_group = Some("OFFICE".to_owned().try_into().unwrap());
    assert_eq!(paths(&shown().await), ["devices/sw1/x.yml"]);
    let listed = &scene.get("/v1/devices").await.body["devices"][0]["causes"][0];
    assert!(
        listed.get("commit").is_none() && listed.get("paths").is_none(),
        "{listed}"
    );
}

#[tokio::test]
async fn the_history_of_a_device_is_paged_from_the_newest_event() {
    let scene = scene();
    *scene.store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    let row = HistoryRow {
        number: 4,
        at: "2026-02-03T04:05:07Z".parse().unwrap(),
        what: "synchronized".to_owned(),
        identity: identity("mark"),
        kind: "lockstep.device.mark-requested".to_owned(),
        actor: Some("anna".into()),
        note: Some("compared".to_owned()),
        change: HistoryChange::default(),
        generation: 3,
        causes: vec![CauseId(7), CauseId(8)],
    };
    let moved = HistoryRow {
        number: 3,
        what: "moved".to_owned(),
        change: HistoryChange {
            from: Some("INIT".to_owned()),
            to: Some("MANAGED".to_owned()),
            execution: None,
        },
        causes: Vec::new(),
        ..row.clone()
    };
    let entry = |position: &str, event| HistoryEntry {
        position: position.parse().unwrap(),
        event,
    };
    *scene.store.history.lock().unwrap() = vec![
        entry("3.2.4", HistoryEvent::Changed { row, expired: 1 }),
        entry(
            "2.3.7",
            HistoryEvent::Unsynchronized {
                cause: explained("seven"),
                open: false,
            },
        ),
        entry(
            "1.0.3",
            HistoryEvent::Changed {
                row: moved,
                expired: 0,
            },
        ),
    ];
    let first = scene.get("/v1/devices/sw1/history?limit=2").await.body;
    assert_eq!(
        first["events"][0],
        json!({
            "at": "2026-02-03T04:05:07Z", "what": "synchronized", "event": "lockstep.device.mark-requested", "source": "urn:test",
            "id": "mark", "by": "anna", "note": "compared", "generation": 3, "closed": 2, "expired": 1,
        })
    );
    let flagged = &first["events"][1];
    assert_eq!(
        (&flagged["what"], &flagged["open"]),
        (&json!("unsynchronized"), &json!(false))
    );
    assert_eq!(flagged["cause"]["commit"]["subject"], "New route");
    assert_eq!(first["next"], "2.3.7");
    let last = scene
        .get("/v1/devices/sw1/history?limit=2&before=2.3.7")
        .await
        .body;
    assert_eq!(
        (&last["events"][0]["from"], &last["events"][0]["to"]),
        (&json!("INIT"), &json!("MANAGED"))
    );
    assert!(
        last.get("next").is_none() && last["events"][0].get("closed").is_none(),
        "{last}"
    );
}

#[tokio::test]
async fn a_history_that_is_asked_for_wrongly_is_a_problem() {
    let scene = scene();
    for (path, expected) in [
        ("/v1/devices/sw9/history", (404, "unknown-device")),
        ("/v1/devices/sw9/history?limit=101", (400, "invalid-query")),
        ("/v1/devices/sw9/history?before=yesterday", (400, "invalid-query")),
        ("/v1/devices/sw9/history?after=1", (400, "invalid-query")),
    ] {
        assert_eq!(scene.get(path).await.problem(), expected, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_is_answered_as_soon_as_the_outcome_is_stored() {
    let scene = scene();
    let poll = scene.get("/v1/messages?source=urn:test&id=1&by=ztp&wait=60");
    let store = async {
        scene.store.outcome_read.notified().await;
        scene
            .store
            .rows
            .lock()
            .unwrap()
            .insert(applied("1").key(), applied("1"));
    };
    let started = Instant::now();
    let (answer, ()) = tokio::join!(poll, store);
    assert_eq!(answer.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(answer.body["state"], "applied");
    assert_eq!(answer.body["by"], "ztp");
    assert_eq!(answer.body["result_type"], "lockstep.event.applied");
    assert_eq!(answer.body["result"]["devices"], json!(["sw1"]));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_after_its_time_or_when_the_console_stops() {
    let scene = scene();
    let started = Instant::now();
    assert_eq!(
        scene
            .get("/v1/messages?source=urn:test&id=1&wait=3")
            .await
            .problem(),
        (404, "no-outcome")
    );
    assert_eq!(started.elapsed().as_secs(), 3);

    let poll = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let stop = async {
        scene.store.outcome_read.notified().await;
        scene.stop.cancel();
    };
    let started = Instant::now();
    let (answer, ()) = tokio::join!(poll, stop);
    assert_eq!(answer.problem(), (503, "stopping"));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_message_is_looked_up_among_those_of_its_sender() {
    let scene = scene();
    let mut anonymous = applied("1");
    anonymous.actor = None;
    for row in [applied("1"), anonymous] {
        scene.store.rows.lock().unwrap().insert(row.key(), row);
    }
    let found = async |query: &str| {
        let answer = scene
            .get(&format!("/v1/messages?source=urn:test&id=1{query}"))
            .await;
        (answer.status.as_u16(), answer.body["by"].clone())
    };
    // The caller is root, who did not send it.
    assert_eq!(found("").await.0, 404);
    assert_eq!(found("&by=ztp").await, (200, json!("ztp")));
    assert_eq!(found("&anonymous=true").await, (200, Value::Null));
    assert_eq!(found("&by=root&anonymous=true").await.0, 400);

    let webhook = InboxRow {
        identity: serde_json::from_value(json!({"source": "/webhooks/github/settings", "id": "1"})).unwrap(),
        actor: Some("webhook:github".into()),
        ..applied("1")
    };
    scene.store.rows.lock().unwrap().insert(webhook.key(), webhook);
    let answer = scene
        .get("/v1/messages?source=/webhooks/github/settings&id=1")
        .await;
    assert_eq!(answer.body["by"], json!("webhook:github"));
}

#[tokio::test]
async fn a_token_reads_what_its_scopes_name_and_its_own_messages() {
    let scene = scene();
    let row = InboxRow {
        actor: Some("events".into()),
        ..applied("1")
    };
    scene.store.rows.lock().unwrap().insert(row.key(), row);
    let refused = [
        "/v1/devices",
        "/v1/devices/sw1",
        "/v1/repositories",
        "/v1/dead",
        "/v1/dead/counts",
        "/v1/dead/1",
        "/v1/messages?source=urn:test&id=1&by=root",
        "/v1/messages?source=urn:test&id=1&anonymous=true",
    ];
    for path in refused {
        assert_eq!(
            scene.get_as("few", path).await.problem(),
            (403, "not-allowed"),
            "{path}"
        );
    }
    let own = scene.get_as("few", "/v1/messages?source=urn:test&id=1").await;
    assert_eq!(own.status, 200);
}

#[tokio::test(start_paused = true)]
async fn with_its_digest_a_message_never_has_the_outcome_of_another_with_its_identity() {
    let scene = scene();
    let first = InboxRow {
        actor: Some("root".into()),
        digest: Digest::of_bytes(b"first"),
        ..applied("1")
    };
    let second = Digest::of_bytes(b"second");
    let rejected = InboxRow {
        identity: first.identity.of_reuse(&second),
        digest: second,
        state: InboxState::Dead,
        ..first.clone()
    };
    let state = async |digest: Digest| {
        let answer = scene
            .get(&format!("/v1/messages?source=urn:test&id=1&digest={digest}"))
            .await;
        (answer.status.as_u16(), answer.body["state"].clone())
    };
    scene
        .store
        .rows
        .lock()
        .unwrap()
        .insert(first.key(), first.clone());
    assert_eq!(state(first.digest).await, (200, json!("applied")));
    assert_eq!(state(second).await.0, 404, "it is not processed yet");
    scene.store.rows.lock().unwrap().insert(rejected.key(), rejected);
    assert_eq!(state(second).await, (200, json!("dead")));
    let malformed = scene.get("/v1/messages?source=urn:test&id=1&digest=x").await;
    assert_eq!(malformed.status, 400);
}

#[tokio::test]
async fn ages_name_the_oldest_devices_with_their_reasons() {
    let scene = scene();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let cause = |id: &str, cause: &str| CauseRow {
        cause: cause.to_owned(),
        identity: identity(id),
        kind: "lockstep.interface.updated".to_owned(),
        actor: None,
        at: at("2026-02-03T04:05:06Z"),
        note: None,
        detail: None,
    };
    let causes = [(7, "device_init"), (8, "interface_updated"), (9, "device_init")];
    let causes = causes.map(|(id, name)| (CauseId(id), cause(&id.to_string(), name)));
    *scene.store.causes.lock().unwrap() = causes.into();
    let old = AgedDevice {
        device: Device {
            open_causes: [7, 8, 9].map(CauseId).into(),
            ..device(1, "sw1", false)
        },
        since: Some(at("2026-02-03T03:04:06Z")),
    };
    let mut expired = device(2, "sw2", true);
    expired.lifecycle.note = Some("line card".to_owned());
    expired.lifecycle.until = Some(at("2026-02-01T00:00:00Z"));
    let ages = Ages {
        at: at("2026-02-03T04:05:06.5Z"),
        matching: 9,
        in_state: 8,
        aged: 7,
        over_warning: 6,
        over_critical: 5,
        oldest: vec![old],
        expired: 4,
        longest_expired: vec![AgedDevice {
            device: expired,
            since: None,
        }],
    };
    *scene.store.ages.lock().unwrap() = Some(ages);
    let answer = scene
        .get("/v1/fleet/ages?of=unsynchronized&warning=1800&critical=3600&device_type=ACCESS&group=Lund&limit=3")
        .await;
    let expected = json!({
        "at": "2026-02-03T04:05:06.5Z", "matching": 9, "in_state": 8, "aged": 7, "over_warning": 6, "over_critical": 5,
        "oldest": [{
            "hostname": "sw1", "device_type": "ACCESS", "state": "MANAGED", "since": "2026-02-03T03:04:06Z", "age_seconds": 3660,
            "causes": ["device_init", "interface_updated"], "note": null, "until": null,
        }],
        "expired": 4,
        "longest_expired": [{
            "hostname": "sw2", "device_type": "ACCESS", "state": "MANAGED", "since": null, "age_seconds": null, "causes": [],
            "note": "line card", "until": "2026-02-01T00:00:00Z",
        }],
    });
    assert_eq!((answer.status.as_u16(), answer.body), (200, expected));
    let query = scene.store.age_queries.lock().unwrap()[0].clone();
    assert_eq!(query.group.map(String::from), Some("Lund".to_owned()));
    assert_eq!(query.device_type, Some(lockstep_protocol::DeviceType::ACCESS));
    let thresholds = (query.warning, query.critical, query.limit);
    assert_eq!(thresholds, (Duration::from_mins(30), Duration::from_hours(1), 3));
    for wrong in [
        "?of=unsynchronized&warning=1",
        "?warning=1&critical=2",
        "?of=young&warning=1&critical=2",
        "?of=unmanaged&warning=-1&critical=2",
        "?of=unmanaged&warning=1&critical=2&state=INIT",
    ] {
        let answer = scene.get(&format!("/v1/fleet/ages{wrong}")).await;
        assert_eq!(answer.problem(), (400, "invalid-query"), "{wrong}");
    }
}

#[tokio::test]
async fn surroundings_are_those_of_a_known_device() {
    let scene = scene();
    *scene.store.devices.lock().unwrap() = vec![device(1, "sw1", true)];
    *scene.store.surroundings.lock().unwrap() = Surroundings {
        interfaces: 48,
        clients: 3,
        links: 2,
        neighbors: Hostnames {
            count: 1,
            first: vec!["sw2".parse().unwrap()],
        },
        controlled: Hostnames::default(),
        linked: vec![LinkedInterface {
            interface: "Ethernet1".to_owned().try_into().unwrap(),
            address: Some("10.0.0.0/31".to_owned()),
            neighbor: "sw2".parse().unwrap(),
            neighbor_interface: "Ethernet7".to_owned().try_into().unwrap(),
            neighbor_address: None,
        }],
        management_domains: vec![ManagementDomain {
            id: 4,
            devices: ["sw1", "sw2"].map(|name| name.parse().unwrap()),
            addresses: ["10.0.6.2".parse().ok(), None],
            ipv4_gateway: Some("10.0.6.1/24".to_owned()),
            ipv6_gateway: None,
            vlan: Some(600),
            description: None,
            esi_mac: None,
        }],
        data: json!({"infra_ip": "10.199.1.1"}).as_object().cloned().unwrap(),
    };
    let expected = json!({
        "hostname": "sw1", "interfaces": 48, "clients": 3, "links": 2, "neighbors": {"count": 1, "first": ["sw2"]},
        "controlled": {"count": 0, "first": []},
        "linked": [{"interface": "Ethernet1", "address": "10.0.0.0/31", "neighbor": "sw2", "neighbor_interface": "Ethernet7",
            "neighbor_address": null}],
        "management_domains": [{"id": 4, "device_a": "sw1", "device_b": "sw2", "device_a_ip": "10.0.6.2", "device_b_ip": null,
            "ipv4_gw": "10.0.6.1/24", "ipv6_gw": null, "vlan": 600, "description": null, "esi_mac": null}],
        "data": {"infra_ip": "10.199.1.1"},
    });
    assert_eq!(scene.get("/v1/devices/sw1/surroundings").await.body, expected);
    for name in ["sw9", "a_b"] {
        let answer = scene.get(&format!("/v1/devices/{name}/surroundings")).await;
        assert_eq!(answer.problem(), (404, "unknown-device"), "{name}");
    }
}
