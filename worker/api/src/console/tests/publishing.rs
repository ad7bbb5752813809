//! Publishing: authorization, what reaches the bus, and failures of the broker.

use std::time::Duration;

use axum::body::Body;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, Kind};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{STRUCTURED, TRACE, changed, removed, request, scene};
use crate::fakes::Publishing;

#[tokio::test]
async fn a_token_publishes_only_its_types_and_gets_no_details_about_others() {
    let scene = scene();
    let sync = |data: Value| {
        changed(|event| {
            event["type"] = "lockstep.sync.requested".into();
            event["data"] = data;
        })
    };
    for data in [json!({"target": {"all": true}}), json!({"nonsense": 1})] {
        let answer = scene.post("some", &sync(data)).await;
        assert_eq!(answer.problem(), (403, "not-allowed"));
        assert!(
            answer.body["detail"]
                .as_str()
                .unwrap()
                .contains("lockstep.sync.requested")
        );
    }
    assert_eq!(scene.post("some", &removed("sw1")).await.status, 202);
    assert_eq!(scene.published().len(), 1);
}

#[tokio::test]
async fn a_token_for_every_type_may_not_publish_results() {
    let scene = scene();
    let result = changed(|event| {
        event["type"] = "lockstep.message.rejected".into();
        event["data"] = json!({"code": "crashed", "reason": "forged"});
    });
    assert_eq!(
        scene.post("all", &result).await.problem(),
        (400, "unexpected-type")
    );
}

#[tokio::test]
async fn a_message_is_published_as_written_with_actor_and_trace() {
    let scene = scene();
    let event = changed(|event| {
        event["actor"] = "somebody else".into();
        event["data"]["of_tomorrow"] = json!([1]);
    });
    let answer = scene.post("some", &event).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body, json!({"source": "urn:test", "id": "1"}));

    let body = scene.only_published();
    assert_eq!(body["actor"], "ztp");
    assert_eq!(body["data"], json!({"hostname": "sw1", "of_tomorrow": [1]}));
    let outgoing = &scene.published()[0];
    assert_eq!(outgoing.destination, Destination::Ingress(Kind::DeviceRemoved));
    assert_eq!(outgoing.properties.message_id.as_deref(), Some("1"));
    assert_eq!(
        outgoing.properties.kind.as_deref(),
        Some("lockstep.device.removed")
    );
    assert_eq!(
        outgoing.properties.timestamp.unwrap().to_string(),
        "2026-02-03T04:05:06Z"
    );
    let sent = Envelope::decode(event.to_string().as_bytes()).unwrap();
    let decoded = Envelope::decode(&outgoing.body).unwrap();
    assert_eq!(
        decoded.digest, sent.digest,
        "the digest is the same over HTTP and AMQP"
    );
    assert!(decoded.envelope.traceparent.is_some());
}

#[tokio::test]
async fn the_trace_comes_from_the_envelope_then_the_header() {
    let other = TRACE.replace("4bf9", "aaaa");
    for (in_envelope, expected) in [(None, TRACE), (Some(other.as_str()), other.as_str())] {
        let scene = scene();
        let event = changed(|event| event["traceparent"] = json!(in_envelope));
        let request = request("POST", "/v1/events", "all")
            .header("content-type", STRUCTURED)
            .header("traceparent", TRACE);
        let answer = scene
            .send(request.body(Body::from(event.to_string())).unwrap())
            .await;
        assert_eq!(answer.status, 202);
        assert_eq!(scene.only_published()["traceparent"], expected);
    }
}

#[tokio::test]
async fn a_batch_is_published_in_order_or_rejected_as_a_whole() {
    let scene = scene();
    let batch = |events: Value| {
        let request = request("POST", "/v1/events", "some")
            .header("content-type", "application/cloudevents-batch+json");
        request.body(Body::from(events.to_string())).unwrap()
    };
    let second = changed(|event| event["id"] = "2".into());
    let bad = changed(|event| event["type"] = "lockstep.mgmtdomain.changed".into());
    let rejected = scene.send(batch(json!([removed("sw1"), bad]))).await;
    assert_eq!(rejected.problem(), (403, "not-allowed"));
    assert_eq!(scene.published(), []);

    let answer = scene.send(batch(json!([removed("sw1"), second]))).await;
    assert_eq!(answer.status, 202);
    let both = json!([{"source": "urn:test", "id": "1"}, {"source": "urn:test", "id": "2"}]);
    assert_eq!(answer.body, both);
    assert_eq!(scene.published().len(), 2);
}

#[tokio::test]
async fn a_body_above_the_limit_is_rejected() {
    let scene = scene();
    let huge = removed(&"a".repeat(4 * 1024 * 1024));
    assert_eq!(scene.post("all", &huge).await.problem(), (413, "too-large"));
}

#[tokio::test(start_paused = true)]
async fn a_message_is_accepted_only_after_the_broker_confirmed_it() {
    let scene = scene();
    let table = [
        (Publishing::QueueFull, (503, "queue-full"), true),
        (Publishing::NeverConfirms, (503, "broker-away"), true),
        (Publishing::Denies, (502, "broker-refused"), false),
    ];
    for (publishing, expected, retry) in table {
        *scene.bus.publishing.lock().unwrap() = publishing;
        let started = Instant::now();
        let answer = scene.post("all", &removed("sw1")).await;
        assert_eq!(answer.problem(), expected);
        assert_eq!(answer.headers.contains_key("retry-after"), retry);
        assert!(started.elapsed() < Duration::from_secs(6));
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
    }
}
