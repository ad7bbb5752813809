//! Webhooks over HTTP: what is published, and the response.

use axum::body::Body;
use axum::http::{HeaderValue, Request};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, Kind};
use serde_json::json;

use crate::scene::{PUSH, SECRET, Scene, github, push, signature};

const ID: &str = "1dd3b948-24e1-582d-8ac4-8fc333b95c35";

#[tokio::test]
async fn a_signed_push_is_published_and_the_response_has_its_identity() {
    let scene = Scene::new();
    let answered = scene.send(push(PUSH)).await;
    assert_eq!(answered.status, 202);
    let message = json!({"source": "/webhooks/github/settings", "id": ID});
    assert_eq!(answered.body, json!({"messages": [message]}));

    let published = scene.bus.published();
    assert_eq!(published.len(), 1);
    let outgoing = &published[0];
    assert_eq!(
        outgoing.destination,
        Destination::Ingress(Kind::RepositoryChanged)
    );
    assert_eq!(outgoing.properties.message_id.as_deref(), Some(ID));
    assert_eq!(
        outgoing.properties.kind.as_deref(),
        Some("lockstep.repository.changed")
    );
    assert_eq!(
        outgoing.properties.content_type.as_deref(),
        Some("application/cloudevents+json")
    );
    assert_eq!(
        outgoing.properties.timestamp.unwrap().to_string(),
        "2026-03-01T12:00:00Z"
    );
    let envelope = Envelope::decode(&outgoing.body).unwrap().envelope;
    assert_eq!(envelope.identity.id.as_str(), ID);
    assert_eq!(envelope.actor.as_deref(), Some("webhook:github"));
    assert!(envelope.traceparent.is_some());
    assert_eq!(envelope.message.to_data()["repository"], "settings");
}

#[tokio::test]
async fn a_redelivered_webhook_is_the_same_message() {
    let scene = Scene::new();
    let first = scene.send(push(PUSH)).await;
    let second = scene.send(push(PUSH)).await;
    assert_eq!((first.status, &first.body), (second.status, &second.body));
    let published = scene.bus.published();
    let told = |index: usize| {
        let decoded = Envelope::decode(&published[index].body).unwrap();
        (decoded.envelope.identity, decoded.digest)
    };
    assert_eq!(told(0), told(1));
}

#[tokio::test]
async fn several_branches_in_one_push_are_several_messages() {
    let scene = Scene::new();
    let body = include_str!("../payloads/bitbucket-push.json");
    let request = Request::post("/webhooks/bitbucket/settings")
        .header("content-type", "application/json")
        .header("x-event-key", "repo:push")
        .header("x-hook-uuid", "11b2a5d6")
        .header("x-request-uuid", "f13ddd3c")
        .header("x-hub-signature", signature(SECRET, body.as_bytes()));
    let answered = scene.send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answered.status, 202);
    let ids: Vec<&str> = answered.body["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    let published = scene.bus.published();
    let sent: Vec<&str> = published
        .iter()
        .map(|outgoing| outgoing.properties.message_id.as_deref().unwrap())
        .collect();
    assert_eq!((ids.len(), &ids), (3, &sent));
}

#[tokio::test]
async fn an_ignored_webhook_is_not_published_and_the_response_has_the_reason() {
    let scene = Scene::new();
    let tag = PUSH.replace("refs/heads/main", "refs/tags/v1");
    let answered = scene.send(push(&tag)).await;
    assert_eq!(answered.status, 202);
    assert_eq!(
        answered.body,
        json!({"ignored": "the push is of a tag; only branches matter"})
    );
    let mut ping = push(include_str!("../payloads/github-ping.json"));
    ping.headers_mut()
        .insert("x-github-event", HeaderValue::from_static("ping"));
    let answered = scene.send(ping).await;
    assert_eq!(
        (answered.status.as_u16(), answered.body["ignored"].is_string()),
        (202, true)
    );
    assert_eq!(scene.bus.published(), []);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn invalid_requests_get_a_problem_with_status_and_code() {
    let scene = Scene::new();
    let at = |path: &str| github(path, PUSH.as_bytes()).body(Body::from(PUSH)).unwrap();
    let with = |name: &'static str, value: &'static str| {
        let mut request = push(PUSH);
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
        request
    };
    let without = |name: &str| {
        let mut request = push(PUSH);
        request.headers_mut().remove(name);
        request
    };
    let get = Request::get("/webhooks/github/settings")
        .body(Body::empty())
        .unwrap();
    let table = [
        (
            "another repository",
            at("/webhooks/github/other"),
            (404, "unknown-repository"),
        ),
        (
            "another forge",
            at("/webhooks/sourcehut/settings"),
            (404, "unknown-forge"),
        ),
        (
            "case counts",
            at("/webhooks/GitHub/settings"),
            (404, "unknown-forge"),
        ),
        (
            "no UTF-8 in the path",
            at("/webhooks/github/%ff"),
            (404, "unknown-repository"),
        ),
        ("half a path", at("/webhooks/github"), (404, "unknown-path")),
        ("GET", get, (405, "wrong-method")),
        (
            "no secret configured",
            at("/webhooks/github/templates"),
            (401, "unauthorized"),
        ),
        (
            "no signature",
            without("x-hub-signature-256"),
            (401, "unauthorized"),
        ),
        (
            "a forged one",
            with("x-hub-signature-256", "sha256=00"),
            (401, "unauthorized"),
        ),
        (
            "changed on the way",
            {
                let mut request = push(PUSH);
                *request.body_mut() = Body::from(PUSH.replace("main", "evil"));
                request
            },
            (401, "unauthorized"),
        ),
        (
            "a look-alike",
            with("x-gitea-event", "push"),
            (400, "wrong-sender"),
        ),
        (
            "two schemes",
            with("x-gitlab-token", "s3cret-not"),
            (400, "wrong-sender"),
        ),
        (
            "a form",
            with("content-type", "application/x-www-form-urlencoded"),
            (415, "unsupported-media-type"),
        ),
        (
            "no delivery",
            without("x-github-delivery"),
            (400, "invalid-header"),
        ),
        ("no JSON", push("{"), (400, "invalid-json")),
        ("no push", push(r#"{"ref": 7}"#), (400, "invalid-data")),
    ];
    let mut unauthorized = Vec::new();
    for (what, request, expected) in table {
        let answered = scene.send(request).await;
        assert_eq!(answered.problem(), expected, "{what}: {}", answered.body);
        match answered.status.as_u16() {
            401 => unauthorized.push(answered.body),
            400 if expected.1.starts_with("invalid-") && expected.1 != "invalid-header" => {
                assert!(
                    answered.body["place"].as_str().unwrap().starts_with('$'),
                    "{what}"
                );
            }
            _ => {}
        }
    }
    unauthorized.dedup();
    assert_eq!(
        unauthorized.len(),
        1,
        "what was wrong is not told: {unauthorized:?}"
    );
    assert_eq!(scene.bus.published(), []);
}
