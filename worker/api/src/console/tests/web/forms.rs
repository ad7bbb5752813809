//! What forms publish, and where they lead.

use lockstep_http::Token;
use lockstep_protocol::results::ExecutionAccepted;
use lockstep_protocol::{EncodedResult, Identity, MessageKey, Role, TypePattern, WorkResult};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::applied;
use super::{commit, everything, submit};
use crate::{AccessOptions, Console};

#[tokio::test(start_paused = true)]
#[expect(clippy::too_many_lines, reason = "a table of all commands")]
async fn each_form_publishes_its_command_as_the_viewer() {
    let execution = Uuid::from_u128(1);
    for (path, fields, kind, data) in [
        (
            "/devices",
            vec![("hostname", "sw1"), ("command", "plan-checked")],
            "lockstep.sync.requested",
            json!({"targets": {"hostname": "sw1"}, "dry_run": true, "resync": false, "force": false}),
        ),
        (
            "/devices",
            vec![
                ("device_type", "ACCESS"),
                ("group", ""),
                ("command", "plan-filter"),
            ],
            "lockstep.sync.requested",
            json!({"targets": {"device_type": "ACCESS"}, "dry_run": true, "resync": false, "force": false}),
        ),
        (
            "/devices/sw1",
            vec![("command", "unsynchronized"), ("note", " by hand ")],
            "lockstep.device.mark-requested",
            json!({"hostname": "sw1", "note": "by hand"}),
        ),
        (
            "/devices/sw1",
            vec![("command", "synchronized"), ("note", "seen"), ("generation", "2")],
            "lockstep.device.mark-requested",
            json!({"hostname": "sw1", "synchronized": true, "generation": 2, "note": "seen"}),
        ),
        (
            "/devices/sw1",
            vec![("command", "state"), ("state", "UNMANAGED")],
            "lockstep.device.state-requested",
            json!({"hostname": "sw1", "state": "UNMANAGED"}),
        ),
        (
            "/devices/sw1",
            vec![("command", "drift")],
            "lockstep.sync.requested",
            json!({"targets": {"hostname": "sw1"}, "action": "drift", "dry_run": true, "resync": false, "force": false}),
        ),
        (
            "/repositories",
            vec![("repository", "settings"), ("command", "refresh")],
            "lockstep.repository.refresh-requested",
            json!({"repository": "settings"}),
        ),
        (
            "/repositories",
            vec![
                ("repository", "settings"),
                ("commit", &"a".repeat(40)),
                ("command", "accept"),
            ],
            "lockstep.repository.accept-requested",
            json!({"repository": "settings", "commit": commit('a')}),
        ),
        (
            "/executions/1",
            vec![("command", "cancel")],
            "lockstep.execution.cancel-requested",
            json!({"execution": execution}),
        ),
        (
            "/executions/1",
            vec![
                ("command", "apply"),
                ("confirmed", "yes"),
                ("canary", "2"),
                ("note", "CHG-1"),
            ],
            "lockstep.sync.requested",
            json!({"plan": execution, "dry_run": false, "resync": false, "force": false, "limits": {"canary": 2}, "note": "CHG-1"}),
        ),
        (
            "/tasks/5",
            vec![
                ("on", "DEVICE"),
                ("names", "sw1\r\n sw2 "),
                ("mode", "dry-run"),
                ("argument.vlan", "7"),
                ("canary", "1"),
            ],
            "lockstep.task.requested",
            json!({
                "task": 5, "execute_on": [], "execute_on_names": ["sw1", "sw2"], "execute_on_type": "DEVICE", "dry_run": true,
                "arguments": {"vlan": 7}, "limits": {"canary": 1},
            }),
        ),
        (
            "/dead-letters/1",
            vec![("command", "requeue")],
            "lockstep.dead-letter.requeue-requested",
            json!({"dead_letter": 1}),
        ),
        (
            "/dead-letters",
            vec![
                ("command", "drop"),
                ("confirmed", "yes"),
                ("up_to", "9"),
                ("lane", "events"),
                ("code", "unknown-device"),
            ],
            "lockstep.dead-letter.drop-requested",
            json!({"matching": {"up_to": 9, "code": "unknown-device", "lane": "events"}}),
        ),
    ] {
        let scene = everything("text");
        let answer = submit(&scene, path, &fields).await;
        assert_eq!(answer.status, 303, "{path} {fields:?} {}", answer.text);
        let published = scene.only_published();
        assert_eq!(published["type"], kind, "{path}");
        assert_eq!(
            (&published["source"], &published["actor"]),
            (&json!("urn:lockstep:console"), &json!("root"))
        );
        assert_eq!(without_nulls(&published["data"]), data, "{path} {fields:?}");
        // Nothing processes it here, so the form leads to the page that waits for it.
        let location = answer.headers["location"].to_str().unwrap();
        let id = published["id"].as_str().unwrap();
        assert_eq!(location, format!("/messages?id={id}"));
        let waiting = scene.get(location).await;
        assert!(waiting.text.contains("not processed yet"), "{}", waiting.text);
    }
}

/// Absent and null are the same in messages.
fn without_nulls(value: &Value) -> Value {
    let mut value = value.clone();
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
        if fields.get("limits") == Some(&json!({})) {
            fields.remove("limits");
        }
    }
    value
}

#[tokio::test(start_paused = true)]
async fn what_must_be_looked_at_is_refused_unless_that_is_confirmed() {
    let scene = everything("text");
    let many: Vec<(&str, &str)> = [("command", "plan-checked")]
        .into_iter()
        .chain([("hostname", "sw1"); 21])
        .collect();
    for (path, fields, reason) in [
        ("/executions/1", vec![("command", "apply")], "check the box"),
        ("/dead-letters/1", vec![("command", "drop")], "check the box"),
        (
            "/dead-letters",
            vec![("command", "drop"), ("up_to", "1")],
            "check the box",
        ),
        (
            "/devices/sw1",
            vec![("command", "synchronized"), ("generation", "2")],
            "&quot;note&quot; is empty",
        ),
        (
            "/devices/sw1",
            vec![("command", "reboot")],
            "is not a command of this page",
        ),
        ("/devices/sw1", vec![], "is not a command of this page"),
        (
            "/devices",
            vec![("command", "plan-checked")],
            "no device is checked",
        ),
        ("/devices", many, "at most 20"),
        (
            "/devices/sw1",
            vec![("command", "state"), ("state", "GONE")],
            "&quot;state&quot;",
        ),
    ] {
        let answer = submit(&scene, path, &fields).await;
        assert_eq!(answer.status, 400, "{path} {fields:?}");
        assert!(answer.text.contains(reason), "{path} {fields:?} {}", answer.text);
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test(start_paused = true)]
async fn a_form_asks_for_the_reason_that_is_required_and_the_audit_has_it() {
    let mut scene = everything("text");
    let tokens = [Token::new("root", &"all".into(), vec![TypePattern::ALL]).with_role(Role::Admin)];
    let mut context = super::super::context(&scene.bus, &scene.store, tokens.into_iter().collect());
    context.access = AccessOptions {
        requires_reasons: true,
        ..AccessOptions::default()
    };
    scene.router = Console::new(context).router(scene.stop.clone());
    for path in ["/dead-letters", "/dead-letters/1"] {
        let page = scene.get(path).await.text;
        assert!(page.contains("needed to drop"), "{path} {page}");
    }
    let drop = [("command", "drop"), ("confirmed", "yes")];
    let without = submit(&scene, "/dead-letters/1", &drop).await;
    assert_eq!(without.status, 400);
    assert!(
        without.text.contains("the command needs a reason"),
        "{}",
        without.text
    );
    assert_eq!(scene.published(), []);
    let reason = ("reason", "a test");
    let dropped = submit(&scene, "/dead-letters/1", &[drop[0], drop[1], reason]).await;
    assert_eq!(dropped.status, 303, "{}", dropped.text);
    let cancelled = submit(&scene, "/executions/2", &[("command", "cancel"), reason]).await;
    assert_eq!(cancelled.status, 303, "{}", cancelled.text);
    let audit = scene.store.access.audit.lock().unwrap();
    let reasons: Vec<Option<&str>> = audit
        .iter()
        .rev()
        .take(2)
        .map(|entry| entry.reason.as_deref())
        .collect();
    assert_eq!(reasons, [Some("a test"); 2]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_run_shows_its_form_again_with_the_problem_beside_the_field() {
    let scene = everything("text");
    let fields = [
        ("on", "DEVICE"),
        ("names", "sw1"),
        ("mode", "apply"),
        ("argument.text", "<kept>"),
        ("canary", "3"),
    ];
    let answer = submit(&scene, "/tasks/5", &fields).await;
    assert_eq!(answer.status, 422);
    for part in [
        "fill it in: a run needs it",
        "aria-invalid=\"true\"",
        "&lt;kept&gt;",
        "value=\"apply\" checked",
        "name=\"canary\" value=\"3\"",
        "check the box that says so",
    ] {
        assert!(answer.text.contains(part), "{part} {}", answer.text);
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test(start_paused = true)]
async fn checked_devices_are_in_the_form_of_the_task() {
    let scene = everything("text");
    let fields = [
        ("hostname", "sw1"),
        ("hostname", "sw2"),
        ("task", "5"),
        ("command", "task"),
    ];
    let answer = submit(&scene, "/devices", &fields).await;
    assert_eq!(answer.status, 200);
    assert!(answer.text.contains("sw1\nsw2</textarea>"), "{}", answer.text);
    let several = [
        ("hostname", "sw1"),
        ("hostname", "sw2"),
        ("command", "plan-checked"),
    ];
    let answer = submit(&scene, "/devices", &several).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["location"]),
        (303, &"/executions?task=sync".parse().unwrap())
    );
    assert_eq!(scene.published().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_leads_to_what_it_began() {
    for (result, place) in [
        (None, "/devices/sw1?sent="),
        (
            Some(WorkResult::ExecutionAccepted(ExecutionAccepted {
                execution: Uuid::from_u128(2),
                elements: 1,
                dry_run: true,
                actor: None,
            })),
            "/executions/00000000-0000-0000-0000-000000000002",
        ),
    ] {
        let scene = std::sync::Arc::new(everything("text"));
        let sending = {
            let scene = scene.clone();
            tokio::spawn(
                async move { submit(&scene, "/devices/sw1", &[("command", "unsynchronized")]).await },
            )
        };
        scene.store.outcome_read.notified().await;
        let published = scene.only_published();
        let identity: Identity =
            serde_json::from_value(json!({"source": published["source"], "id": published["id"]})).unwrap();
        let key = MessageKey {
            identity: identity.clone(),
            actor: Some("root".into()),
        };
        let mut row = applied("1");
        row.identity = identity;
        if let Some(result) = result {
            row.result = EncodedResult::new(result);
        }
        scene.store.rows.lock().unwrap().insert(key, row);
        let answer = sending.await.unwrap();
        let location = answer.headers["location"].to_str().unwrap();
        assert!(location.starts_with(place), "{location}");
        if place.ends_with("sent=") {
            let page = scene.get(location).await;
            assert!(page.text.contains("Your command was processed"), "{}", page.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_send_a_command_is_told() {
    let scene = everything("text");
    let body = "command=cancel";
    let request = super::super::request("POST", "/executions/1", "some")
        .header("content-type", "application/x-www-form-urlencoded");
    let answer = scene
        .send(request.body(axum::body::Body::from(body)).unwrap())
        .await;
    assert_eq!(answer.status, 403, "{}", answer.text);
    assert_eq!(scene.published(), []);
}
