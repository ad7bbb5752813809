//! Stored tokens: created, used, rotated and revoked.

use axum::body::Body;
use lockstep_http::Token;
use lockstep_protocol::{AuditKind, Role};
use serde_json::{Value, json};

use super::{Answer, Scene, removed, request, scene};

fn admin_scene() -> Scene {
    let token = |name: &str| Token::new(name, &name.into(), vec!["*".parse().unwrap()]);
    scene().with_tokens([
        token("root").with_role(Role::Admin),
        token("operator").with_role(Role::Operator),
        token("plain"),
    ])
}

async fn post(scene: &Scene, token: &str, path: &str, body: &Value) -> Answer {
    let request = request("POST", path, token).header("content-type", "application/json");
    scene
        .send(request.body(Body::from(body.to_string())).unwrap())
        .await
}

async fn created(scene: &Scene, body: &Value) -> String {
    let answer = post(scene, "root", "/v1/tokens", body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["secret"].as_str().unwrap().to_owned()
}

fn audited(scene: &Scene) -> Vec<(AuditKind, Option<String>)> {
    let audit = scene.store.access.audit.lock().unwrap();
    audit
        .iter()
        .map(|entry| (entry.kind, entry.subject.clone()))
        .collect()
}

#[tokio::test]
async fn a_created_token_sends_as_its_person_within_its_role_until_it_is_revoked() {
    let scene = admin_scene();
    let secret = created(
        &scene,
        &json!({"name": "alice-laptop", "person": "alice", "role": "operator"}),
    )
    .await;
    assert!(secret.starts_with("lockstep_"));
    assert_eq!(scene.post(&secret, &removed("sw1")).await.status, 202);
    assert_eq!(scene.only_published()["actor"], "alice");
    assert_eq!(scene.get_as(&secret, "/v1/devices").await.status, 200);
    assert_eq!(scene.get_as(&secret, "/v1/audit").await.problem().0, 403);
    assert_eq!(scene.get_as(&secret, "/v1/tokens").await.problem().0, 403);

    let shown = scene.get_as("root", "/v1/tokens/alice-laptop").await;
    assert_eq!(shown.body["active"], true);
    assert_eq!(shown.body["created_by"], "root");
    assert!(secret.starts_with(shown.body["prefix"].as_str().unwrap()));
    let list = scene.get_as("root", "/v1/tokens").await.body.to_string();
    assert!(!list.contains(&secret), "{list}");

    let revoked = post(&scene, "root", "/v1/tokens/alice-laptop/revoke", &json!({})).await;
    assert_eq!(revoked.body["active"], false);
    assert_eq!(scene.get_as(&secret, "/v1/devices").await.problem().0, 401);
    let name = Some("alice-laptop".to_owned());
    assert_eq!(
        audited(&scene),
        [
            (AuditKind::TokenCreated, name.clone()),
            (AuditKind::TokenRevoked, name)
        ]
    );
    assert!(!format!("{:?}", scene.store).contains(&secret));
}

#[tokio::test]
async fn a_viewer_publishes_nothing_and_reads_results_only_if_given() {
    let scene = admin_scene();
    let plain = created(&scene, &json!({"name": "a", "role": "viewer"})).await;
    let given = json!({"name": "b", "role": "viewer", "reads": ["device-output"]});
    let given = created(&scene, &given).await;
    let refused = scene.post(&plain, &removed("sw1")).await;
    assert_eq!(refused.problem(), (403, "not-allowed"));
    assert!(refused.body["detail"].as_str().unwrap().contains("role viewer"));
    let output = "/v1/executions/1/results";
    assert_eq!(scene.get_as(&plain, output).await.status, 403);
    assert_ne!(scene.get_as(&given, output).await.status, 403);
}

#[tokio::test]
async fn a_rotated_token_has_two_secrets_for_a_while() {
    let scene = admin_scene();
    let first = created(&scene, &json!({"name": "ci", "role": "operator"})).await;
    assert_eq!(scene.get_as(&first, "/v1/devices").await.status, 200);
    let rotated = post(&scene, "root", "/v1/tokens/ci/rotate", &json!({})).await;
    let second = rotated.body["secret"].as_str().unwrap().to_owned();
    assert!(rotated.body["token"]["former_until"].is_string());
    for secret in [&first, &second] {
        assert_eq!(scene.get_as(secret, "/v1/devices").await.status, 200);
    }
    let at_once = json!({"grace_seconds": 0});
    let third = post(&scene, "root", "/v1/tokens/ci/rotate", &at_once).await;
    let third = third.body["secret"].as_str().unwrap().to_owned();
    for (secret, status) in [(&first, 401), (&second, 401), (&third, 200)] {
        assert_eq!(scene.get_as(secret, "/v1/devices").await.status, status);
    }
    post(&scene, "root", "/v1/tokens/ci/revoke", &json!({})).await;
    let again = post(&scene, "root", "/v1/tokens/ci/rotate", &json!({})).await;
    assert_eq!(again.problem(), (409, "token-revoked"));
}

#[tokio::test]
async fn only_administrators_manage_tokens_and_nobody_gives_more_than_they_have() {
    let scene = admin_scene();
    let body = json!({"name": "x", "role": "viewer"});
    for token in ["operator", "plain"] {
        let answer = post(&scene, token, "/v1/tokens", &body).await;
        assert_eq!(answer.problem(), (403, "not-allowed"), "{token}");
    }
    let limited = json!({"name": "oslo", "role": "admin", "groups": ["oslo"], "reason": "site"});
    let limited = created(&scene, &limited).await;
    let wider = post(&scene, &limited, "/v1/tokens", &body).await;
    assert_eq!(wider.problem(), (403, "not-allowed"));
    assert_eq!(wider.body["place"], "$.groups");
    let within = json!({"name": "x", "role": "viewer", "groups": ["oslo"]});
    assert_eq!(post(&scene, &limited, "/v1/tokens", &within).await.status, 201);
    created(&scene, &json!({"name": "wide", "role": "operator"})).await;
    let rotated = post(&scene, &limited, "/v1/tokens/wide/rotate", &json!({})).await;
    assert_eq!(rotated.problem(), (403, "not-allowed"));
}

#[tokio::test]
async fn requests_for_tokens_are_checked() {
    let scene = admin_scene();
    created(&scene, &json!({"name": "taken", "role": "viewer"})).await;
    for (path, body, expected, place) in [
        (
            "/v1/tokens",
            json!({"name": "taken", "role": "viewer"}),
            (409, "name-taken"),
            Some("$.name"),
        ),
        (
            "/v1/tokens",
            json!({"name": "root", "role": "viewer"}),
            (409, "name-taken"),
            Some("$.name"),
        ),
        (
            "/v1/tokens",
            json!({"name": "a", "role": "root"}),
            (400, "invalid-data"),
            Some("$.role"),
        ),
        (
            "/v1/tokens",
            json!({"name": "a", "role": "viewer", "group": "x"}),
            (400, "invalid-data"),
            Some("$.group"),
        ),
        (
            "/v1/tokens",
            json!({"name": "a", "role": "admin"}),
            (400, "reason-required"),
            Some("$.reason"),
        ),
        ("/v1/tokens/x/rotate", json!({}), (404, "unknown-token"), None),
        ("/v1/tokens/x/revoke", json!({}), (404, "unknown-token"), None),
        (
            "/v1/tokens/taken/rotate",
            json!({"grace_seconds": -1}),
            (400, "invalid-data"),
            Some("$.grace_seconds"),
        ),
    ] {
        let answer = post(&scene, "root", path, &body).await;
        assert_eq!(answer.problem(), expected, "{path} {body}");
        assert_eq!(answer.body["place"].as_str(), place, "{path} {body}");
    }
    assert_eq!(
        scene.get_as("root", "/v1/tokens/x").await.problem(),
        (404, "unknown-token")
    );
}

#[tokio::test]
async fn limits_of_a_token_bound_its_commands() {
    let scene = admin_scene();
    let limited = json!({"name": "ci", "role": "operator", "tasks": ["backup-*"], "groups": ["oslo"]});
    let limited = created(&scene, &limited).await;
    let task = |task: Value| {
        json!({
            "specversion": "1.0", "id": "1", "source": "urn:test", "type": "lockstep.task.requested",
            "data": {"task": task, "execute_on_type": "DEVICE"},
        })
    };
    for (message, allowed) in [
        (task(json!("backup-core")), true),
        (task(json!("uptime")), false),
        (task(json!(7)), false),
        (removed("sw1"), false),
    ] {
        let status = scene.post(&limited, &message).await.status;
        assert_eq!(status == 202, allowed, "{message} {status}");
    }
}
