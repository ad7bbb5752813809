//! Webhooks of NetBox and Nautobot over HTTP: what is published, and the response.

use axum::body::Body;
use axum::http::Request;
use hmac::{Hmac, KeyInit, Mac};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, Kind};
use serde_json::{Value, json};
use sha2::Sha512;

use crate::scene::{Answered, SECRET, Scene};

/// A webhook that was sent a minute ago.
fn body() -> String {
    let text = include_str!("../../../protocol/dcim/tests/payloads/netbox-4.6-device-created.json");
    let mut body: Value = serde_json::from_str(text).expect("it is JSON");
    body["timestamp"] = "2026-03-01T11:59:00+00:00".into();
    body.to_string()
}

fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(secret.as_bytes()).expect("keys have any length");
    mac.update(body.as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

async fn send(scene: &Scene, path: &str, signature: Option<String>, body: impl Into<Body>) -> Answered {
    let mut request = Request::post(path).header("content-type", "application/json");
    if let Some(signature) = signature {
        request = request.header("x-hook-signature", signature);
    }
    scene.send(request.body(body.into()).expect("a request")).await
}

#[tokio::test]
async fn a_signed_change_is_published_and_a_replay_is_the_same_message() {
    let scene = Scene::new();
    let body = body();
    let mut answers = Vec::new();
    for _ in 0..2 {
        let answered = send(
            &scene,
            "/webhooks/netbox/main",
            Some(signature(SECRET, &body)),
            body.clone(),
        )
        .await;
        assert_eq!(answered.status, 202, "{}", answered.body);
        answers.push(answered.body);
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0]["messages"][0]["source"], "/webhooks/netbox/main");
    let published = scene.bus.published();
    assert_eq!(published.len(), 2);
    assert_eq!(
        published[0].destination,
        Destination::Ingress(Kind::InventoryImported)
    );
    let told = |index: usize| {
        let decoded = Envelope::decode(&published[index].body).unwrap();
        (decoded.envelope.identity, decoded.envelope.actor, decoded.digest)
    };
    assert_eq!(told(0), told(1));
    assert_eq!(told(0).1.as_deref(), Some("webhook:netbox"));
}

#[tokio::test]
async fn what_is_not_signed_for_this_source_is_refused() {
    let scene = Scene::new();
    let body = body();
    let good = signature(SECRET, &body);
    let table = [
        ("/webhooks/netbox/main", None, (401, "unauthorized")),
        (
            "/webhooks/netbox/main",
            Some(signature("the secret of the lab", &body)),
            (401, "unauthorized"),
        ),
        ("/webhooks/netbox/lab", Some(good.clone()), (401, "unauthorized")),
        (
            "/webhooks/netbox/open",
            Some(signature("", &body)),
            (401, "unauthorized"),
        ),
        (
            "/webhooks/nautobot/main",
            Some(good.clone()),
            (404, "unknown-source"),
        ),
        (
            "/webhooks/netbox/campus",
            Some(good.clone()),
            (404, "unknown-source"),
        ),
        (
            "/webhooks/netbox/nowhere",
            Some(good.clone()),
            (404, "unknown-source"),
        ),
        (
            "/webhooks/netbox/%ff",
            Some(good.clone()),
            (404, "unknown-source"),
        ),
        ("/webhooks/github/main", Some(good), (404, "unknown-repository")),
    ];
    for (path, signature, expected) in table {
        let answered = send(&scene, path, signature, body.clone()).await;
        assert_eq!(answered.problem(), expected, "{path}");
    }
    assert!(scene.bus.published().is_empty());
}

#[tokio::test]
async fn bodies_are_bounded_whole_and_json() {
    let scene = Scene::new();
    let path = "/webhooks/netbox/main";
    let text = body();
    let half = &text[..text.len() / 2];
    let answered = send(&scene, path, Some(signature(SECRET, half)), half.to_owned()).await;
    assert_eq!(answered.problem(), (400, "invalid-json"));
    let huge = "x".repeat(26 * 1024 * 1024);
    let answered = send(&scene, path, Some(signature(SECRET, &huge)), huge).await;
    assert_eq!(answered.problem().0, 413);
    let form = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let answered = scene.send(form.body(Body::from(text)).unwrap()).await;
    assert_eq!(answered.problem().0, 415);
    assert!(scene.bus.published().is_empty());
}

#[tokio::test]
async fn an_old_webhook_and_another_object_are_ignored_with_the_reason() {
    let scene = Scene::new();
    let changed = |edit: fn(&mut Value)| {
        let mut value: Value = serde_json::from_str(&body()).unwrap();
        edit(&mut value);
        value.to_string()
    };
    for (body, expected) in [
        (
            changed(|body| body["timestamp"] = "2026-03-01T11:00:00+00:00".into()),
            "webhook_max_age",
        ),
        (
            changed(|body| body["object_type"] = json!("dcim.rack")),
            "dcim.rack",
        ),
    ] {
        let answered = send(
            &scene,
            "/webhooks/netbox/main",
            Some(signature(SECRET, &body)),
            body,
        )
        .await;
        assert_eq!(answered.status, 202);
        let ignored = answered.body["ignored"].as_str().unwrap();
        assert!(ignored.contains(expected), "{ignored}");
    }
    assert!(scene.bus.published().is_empty());
}
