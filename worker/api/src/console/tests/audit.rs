//! What the audit says about commands, and who reads it.

use std::sync::atomic::Ordering;

use axum::body::Body;
use lockstep_http::{ReadScope, Token};
use lockstep_protocol::Role;
use serde_json::{Value, json};

use super::{STRUCTURED, Scene, removed, request, scene};
use crate::{AccessOptions, Console};

fn command(kind: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "urn:test", "type": kind, "data": data,
    })
}

fn stop() -> Value {
    command("lockstep.executions.stop-requested", &json!({}))
}

async fn post_with_reason(scene: &Scene, event: &Value, reason: &str) -> super::Answer {
    let request = request("POST", "/v1/events", "all")
        .header("content-type", STRUCTURED)
        .header("user-agent", "test/1")
        .header("lockstep-reason", reason);
    scene
        .send(request.body(Body::from(event.to_string())).unwrap())
        .await
}

#[tokio::test]
async fn a_command_is_in_the_audit_before_it_is_published_and_an_event_is_not() {
    let scene = scene().with_tokens([
        Token::of_role("unused", "unused", Role::Viewer),
        Token::new("laptop", &"all".into(), vec!["*".parse().unwrap()])
            .with_person(Some("alice".to_owned()))
            .with_role(Role::Admin),
    ]);
    let event = scene.post("all", &removed("sw1")).await;
    assert_eq!(event.status, 202);
    assert!(scene.store.access.audit.lock().unwrap().is_empty());

    let sync = command(
        "lockstep.sync.requested",
        &json!({"targets": {"hostname": "sw1"}, "dry_run": false}),
    );
    assert_eq!(post_with_reason(&scene, &sync, "ticket%207").await.status, 202);
    let answer = scene.get("/v1/audit").await;
    let entry = &answer.body["entries"][0];
    for (key, expected) in [
        ("kind", "command"),
        ("principal", "alice"),
        ("token", "laptop"),
        ("agent", "test/1"),
        ("message_source", "urn:test"),
        ("message_id", "1"),
        ("message_type", "lockstep.sync.requested"),
        ("subject", "sw1"),
        ("reason", "ticket 7"),
        ("detail", "apply"),
    ] {
        assert_eq!(entry[key], expected, "{key}: {entry}");
    }
    let published: Vec<Value> = scene
        .published()
        .iter()
        .map(|message| serde_json::from_slice(&message.body).unwrap())
        .collect();
    assert_eq!(published[1]["actor"], "alice");
}

#[tokio::test]
async fn a_command_that_the_audit_cannot_record_is_not_published() {
    let scene = scene();
    scene.store.unavailable.store(true, Ordering::SeqCst);
    let answer = scene.post("all", &stop()).await;
    assert_eq!(answer.problem(), (503, "store-away"));
    assert!(scene.published().is_empty());
}

#[tokio::test]
async fn dangerous_commands_need_a_reason_where_the_configuration_says_so() {
    let mut scene = scene();
    assert_eq!(scene.post("all", &stop()).await.status, 202);
    let mut context = super::context(&scene.bus, &scene.store, {
        [Token::new("root", &"all".into(), vec!["*".parse().unwrap()])]
            .into_iter()
            .collect()
    });
    context.access = AccessOptions {
        requires_reasons: true,
        ..AccessOptions::default()
    };
    scene.router = Console::new(context).router(scene.stop.clone());
    let refused = scene.post("all", &stop()).await;
    assert_eq!(refused.problem(), (400, "reason-required"));
    assert_eq!(refused.body["place"], "$.data.note");
    let with_note = command("lockstep.executions.stop-requested", &json!({"note": "storm"}));
    assert_eq!(scene.post("all", &with_note).await.status, 202);
    assert_eq!(post_with_reason(&scene, &stop(), "storm").await.status, 202);
    let unreadable = post_with_reason(&scene, &stop(), "%ff").await;
    assert_eq!(unreadable.problem(), (400, "invalid-reason"));
}

#[tokio::test]
async fn a_mark_as_synchronized_is_a_cleared_flag_and_pages_follow_one_another() {
    let scene = scene()
        .with_tokens([Token::new("root", &"all".into(), vec!["*".parse().unwrap()]).with_role(Role::Admin)]);
    let mark = command(
        "lockstep.device.mark-requested",
        &json!({"hostname": "sw1", "synchronized": true, "generation": 7, "note": "compared"}),
    );
    for event in [&mark, &stop(), &mark] {
        assert_eq!(scene.post("all", event).await.status, 202);
    }
    let page = scene.get("/v1/audit?limit=2").await;
    assert_eq!(page.body["entries"][0]["kind"], "flag-cleared");
    assert_eq!(page.body["entries"][0]["reason"], "compared");
    assert_eq!(page.body["next"], 2);
    let rest = scene.get("/v1/audit?limit=2&before=2").await;
    assert_eq!(rest.body["entries"].as_array().unwrap().len(), 1);
    assert_eq!(rest.body["next"], Value::Null);
    for (query, expected) in [
        ("kind=flag-cleared", 2),
        ("kind=command", 1),
        ("principal=root", 3),
        ("principal=alice", 0),
    ] {
        let page = scene.get(&format!("/v1/audit?{query}")).await;
        assert_eq!(
            page.body["entries"].as_array().unwrap().len(),
            expected,
            "{query}"
        );
    }
    let wrong = scene.get("/v1/audit?kind=commands").await;
    assert_eq!(wrong.problem(), (400, "invalid-query"));
}

#[tokio::test]
async fn the_audit_is_read_by_those_who_may() {
    let token = |name: &str| Token::new(name, &name.into(), vec!["*".parse().unwrap()]);
    let scene = scene().with_tokens([
        token("usual"),
        token("named").with_reads([ReadScope::Audit]),
        token("operator").with_role(Role::Operator),
        token("admin").with_role(Role::Admin),
    ]);
    for (name, status) in [("usual", 403), ("named", 200), ("operator", 403), ("admin", 200)] {
        assert_eq!(scene.get_as(name, "/v1/audit").await.status, status, "{name}");
    }
}
