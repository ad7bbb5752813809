//! Events over HTTP: `/v1/events` accepts events, not commands, with a token.

use axum::body::Body;
use axum::http::Request;
use axum::http::request::Builder;
use lockstep_protocol::{Envelope, Kind};
use serde_json::{Value, json};

use crate::scene::Scene;

const STRUCTURED: &str = "application/cloudevents+json";

fn request(token: &str) -> Builder {
    Request::post("/v1/events").header("authorization", format!("Bearer {token}"))
}

fn structured(token: &str, event: &Value) -> Request<Body> {
    let request = request(token).header("content-type", STRUCTURED);
    request
        .body(Body::from(event.to_string()))
        .expect("it is well formed")
}

fn event(id: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "urn:test", "type": "lockstep.device.removed",
        "data": {"hostname": "sw1"}, "actor": "somebody else",
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = event("1");
    change(&mut event);
    event
}

#[tokio::test]
async fn all_three_modes_publish_with_the_token_name_as_actor() {
    let scene = Scene::new();
    let binary = request("some")
        .header("content-type", "application/json")
        .header("ce-specversion", "1.0")
        .header("ce-id", "2")
        .header("ce-source", "urn:test")
        .header("ce-type", "lockstep.device.removed")
        .body(Body::from(r#"{"hostname": "sw1"}"#))
        .unwrap();
    let batch = request("all")
        .header("content-type", "application/cloudevents-batch+json")
        .body(Body::from(json!([event("3"), event("4")]).to_string()))
        .unwrap();
    let one = |id: &str| json!({"source": "urn:test", "id": id});
    let table = [
        (structured("some", &event("1")), one("1")),
        (binary, one("2")),
        (batch, json!([one("3"), one("4")])),
    ];
    for (request, expected) in table {
        let answered = scene.send(request).await;
        assert_eq!((answered.status.as_u16(), answered.body), (202, expected));
    }
    let published = scene.bus.published();
    let told: Vec<(String, Option<String>)> = published
        .iter()
        .map(|outgoing| {
            let envelope = Envelope::decode(&outgoing.body).unwrap().envelope;
            assert_eq!(envelope.message.kind(), Kind::DeviceRemoved);
            (envelope.identity.id.to_string(), envelope.actor)
        })
        .collect();
    let by = |id: &str, actor: &str| (id.to_owned(), Some(actor.to_owned()));
    assert_eq!(
        told,
        [
            by("1", "ztp"),
            by("2", "ztp"),
            by("3", "netbox"),
            by("4", "netbox")
        ]
    );
}

#[tokio::test]
async fn without_a_valid_token_the_answer_says_which_tokens_are_accepted_and_nothing_else() {
    let scene = Scene::new();
    let anonymous = Request::post("/v1/events").body(Body::empty()).unwrap();
    let mut answers = Vec::new();
    for request in [
        anonymous,
        structured("wrong", &event("1")),
        structured("", &event("1")),
    ] {
        let answered = scene.send(request).await;
        assert_eq!(answered.problem(), (401, "unauthorized"));
        answers.push(answered.body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "what was wrong is not told: {answers:?}");
    let detail = answers[0]["detail"].as_str().unwrap();
    assert!(detail.contains("`gateway.tokens`"), "{detail}");
    assert!(
        detail.contains("tokens of the console are not accepted here"),
        "{detail}"
    );
}

#[tokio::test]
async fn invalid_requests_get_a_problem_with_status_and_code() {
    let scene = Scene::new();
    let command = |data: Value| {
        changed(|event| {
            event["type"] = "lockstep.device.mark-requested".into();
            event["data"] = data;
        })
    };
    let result = changed(|event| {
        event["type"] = "lockstep.message.rejected".into();
        event["data"] = json!({"code": "crashed", "reason": "forged"});
    });
    let other = changed(|event| event["type"] = "lockstep.mgmtdomain.changed".into());
    let anonymous = Request::post("/v1/events").body(Body::from("{}")).unwrap();
    let deep = format!("{{\"data\": {}", "[".repeat(100_000));
    let raw = |body: Vec<u8>| {
        request("all")
            .header("content-type", STRUCTURED)
            .body(Body::from(body))
            .unwrap()
    };
    let form = request("all").header("content-type", "application/x-www-form-urlencoded");
    let table = [
        ("no token", anonymous, (401, "unauthorized")),
        (
            "a wrong token",
            structured("wrong", &event("1")),
            (401, "unauthorized"),
        ),
        (
            "a type the token does not allow",
            structured("some", &other),
            (403, "not-allowed"),
        ),
        (
            "a command",
            structured("all", &command(json!({"hostname": "sw1"}))),
            (403, "not-allowed"),
        ),
        (
            "a command that makes no sense",
            structured("all", &command(json!({}))),
            (403, "not-allowed"),
        ),
        (
            "a command in a batch",
            {
                let batch = json!([event("1"), command(json!({"hostname": "sw1"}))]).to_string();
                request("all")
                    .header("content-type", "application/cloudevents-batch+json")
                    .body(Body::from(batch))
                    .unwrap()
            },
            (403, "not-allowed"),
        ),
        ("a result", structured("all", &result), (400, "unexpected-type")),
        (
            "a form",
            form.body(Body::from("a=b")).unwrap(),
            (415, "unsupported-media-type"),
        ),
        (
            "wrong data",
            structured("all", &changed(|event| event["data"] = json!({}))),
            (400, "invalid-data"),
        ),
        (
            "no UTF-8",
            raw(b"{\"id\": \"\xff\"}".to_vec()),
            (400, "invalid-json"),
        ),
        ("deep JSON", raw(deep.into_bytes()), (400, "invalid-json")),
        (
            "too much",
            raw(vec![b' '; 4 * 1024 * 1024 + 1]),
            (413, "too-large"),
        ),
    ];
    for (what, request, expected) in table {
        let answered = scene.send(request).await;
        assert_eq!(answered.problem(), expected, "{what}: {}", answered.body);
    }
    assert_eq!(scene.bus.published(), []);
}
