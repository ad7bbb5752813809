//! The limits of the gateway, and its responses when the broker is unavailable.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Request;
use futures_util::{StreamExt, stream};
use lockstep_bus::fake::FakeMode;
use lockstep_producer::gateway::{self, GatewayLimits};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::scene::{PUSH, Scene, github, push};

const PATH: &str = "/webhooks/github/settings";
const MIB: usize = 1024 * 1024;

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).expect("it is well formed")
}

/// A streamed body in chunks of 1 MiB, and a counter of the chunks that were read.
fn pieces(count: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let piece = move |number: usize| {
        counter.store(number, Ordering::SeqCst);
        Ok::<_, Infallible>(Bytes::from(vec![b' '; MIB]))
    };
    (Body::from_stream(stream::iter((1..=count).map(piece))), taken)
}

#[tokio::test]
async fn a_body_with_a_declared_length_above_the_limit_is_not_read() {
    let scene = Scene::new();
    // A body with a known length, which hyper takes from Content-Length.
    let request = github(PATH, b"").body(Body::from(vec![b' '; 26 * MIB])).unwrap();
    let answered = scene.send(request).await;
    assert_eq!(answered.problem(), (413, "too-large"));
    assert!(
        answered.body["detail"].as_str().unwrap().contains("26214400"),
        "{}",
        answered.body
    );
}

#[tokio::test]
async fn a_streamed_body_is_read_up_to_the_limit() {
    let scene = Scene::new();
    let (body, taken) = pieces(1000);
    let answered = scene.send(github(PATH, b"").body(body).unwrap()).await;
    assert_eq!(answered.problem(), (413, "too-large"));
    assert_eq!(
        taken.load(Ordering::SeqCst),
        26,
        "one piece above the limit is enough to know"
    );
}

#[tokio::test]
async fn a_large_body_within_the_limit_is_accepted() {
    let scene = Scene::new();
    let mut payload: Value = serde_json::from_str(PUSH).unwrap();
    payload["padding"] = "x".repeat(24 * MIB).into();
    let answered = scene.send(push(&payload.to_string())).await;
    assert_eq!(answered.status, 202, "{}", answered.body);
    assert!(scene.bus.published()[0].body.len() < 4096);
}

/// A body of which `first` arrives, and then nothing.
fn begun(first: usize) -> Body {
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from(vec![b' '; first]))]);
    Body::from_stream(first.chain(stream::pending()))
}

#[tokio::test]
async fn what_is_announced_and_does_not_arrive_takes_no_room() {
    let scene = Scene::with(GatewayLimits {
        held_bytes: 2 * MIB,
        body_bytes: MIB,
        ..GatewayLimits::default()
    });
    let mut waiting: Vec<_> = (0..100)
        .map(|_| Box::pin(scene.send(github(PATH, b"").body(begun(0)).unwrap())))
        .collect();
    for request in &mut waiting {
        assert!(futures_util::poll!(request).is_pending());
    }
    assert_eq!(scene.send(push(PUSH)).await.status, 202);
}

#[tokio::test]
async fn the_largest_body_gives_way_if_there_is_no_room() {
    let scene = Scene::with(GatewayLimits {
        held_bytes: 4 * MIB,
        body_bytes: 2 * MIB,
        ..GatewayLimits::default()
    });
    // 3 MiB are for webhooks. A body that is not finished may hold twice what has arrived.
    let begin = |bytes: usize| Box::pin(scene.send(github(PATH, b"").body(begun(bytes)).unwrap()));
    let (mut larger, mut smaller) = (begin(MIB + MIB / 2), begin(MIB));
    assert!(futures_util::poll!(&mut larger).is_pending());
    assert!(futures_util::poll!(&mut smaller).is_pending());
    let (evicted, accepted) = tokio::join!(larger, async {
        let large = format!("{PUSH}{}", " ".repeat(MIB * 3 / 4));
        let accepted = scene.send(push(&large)).await;
        // The smaller one is still there.
        assert!(futures_util::poll!(&mut smaller).is_pending());
        accepted
    });
    assert_eq!(evicted.problem(), (429, "too-many-requests"));
    assert_eq!(accepted.status, 202, "{}", accepted.body);
    let mut other = begin(MIB);
    assert!(futures_util::poll!(&mut other).is_pending());
    let largest = scene.send(github(PATH, b"").body(begun(2 * MIB)).unwrap());
    assert_eq!(
        largest.await.problem(),
        (429, "too-many-requests"),
        "the largest is the new one"
    );
}

#[tokio::test]
async fn bodies_of_webhooks_take_no_room_from_events() {
    let scene = Scene::with(GatewayLimits {
        held_bytes: MIB,
        body_bytes: MIB,
        ..GatewayLimits::default()
    });
    let mut webhook = Box::pin(scene.send(github(PATH, b"").body(begun(MIB)).unwrap()));
    assert!(futures_util::poll!(&mut webhook).is_pending());
    let event = r#"{"specversion": "1.0", "id": "1", "source": "urn:example:x", "type": "lockstep.interface.updated",
        "data": {"hostname": "sw1", "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]}}"#;
    let request = Request::post("/v1/events")
        .header("content-type", "application/cloudevents+json")
        .header("authorization", "Bearer all");
    let answered = scene.send(request.body(Body::from(event)).unwrap()).await;
    assert_eq!(answered.status, 202, "{}", answered.body);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_arrive_times_out() {
    let scene = Scene::new();
    let body = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let started = Instant::now();
    let answered = scene.send(github(PATH, b"").body(body).unwrap()).await;
    assert_eq!(answered.problem(), (408, "timeout"));
    assert_eq!(started.elapsed().as_secs(), 10, "nothing at all arrives");
    let drops = stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
    });
    let request = github(PATH, b"").body(Body::from_stream(drops)).unwrap();
    let started = Instant::now();
    assert_eq!(scene.send(request).await.problem(), (408, "timeout"));
    assert_eq!(started.elapsed().as_secs(), 20, "it arrives too slowly");
}

#[tokio::test]
async fn an_incomplete_body_is_refused() {
    let scene = Scene::new();
    let broken = stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
    let request = github(PATH, b"{").body(Body::from_stream(broken)).unwrap();
    assert_eq!(scene.send(request).await.problem(), (400, "unreadable-body"));
}

#[tokio::test(start_paused = true)]
async fn unconfirmed_messages_are_not_accepted() {
    let scene = Scene::new();
    let table = [
        (FakeMode::Full, (503, "queue-full")),
        (FakeMode::Unavailable, (503, "broker-away")),
        (FakeMode::Deny, (502, "broker-refused")),
        (FakeMode::Closed, (503, "stopping")),
    ];
    for (mode, expected) in table {
        scene.bus.set_mode(mode);
        let started = Instant::now();
        assert_eq!(scene.send(push(PUSH)).await.problem(), expected);
        assert!(started.elapsed() < Duration::from_secs(6), "{mode:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_succeed_again_when_the_broker_is_back() {
    let scene = Scene::new();
    scene.bus.set_mode(FakeMode::Unavailable);
    for _ in 0..3 {
        assert_eq!(scene.send(push(PUSH)).await.problem(), (503, "broker-away"));
    }
    assert_eq!(scene.bus.published(), []);
    scene.bus.set_mode(FakeMode::Confirm);
    assert_eq!(scene.send(push(PUSH)).await.status, 202);
    let published = scene.bus.published();
    let mut ids: Vec<_> = published
        .iter()
        .map(|outgoing| &outgoing.properties.message_id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "however often it was published, it is one message");
}

#[tokio::test]
async fn requests_above_the_limit_are_refused_and_probes_are_not() {
    let scene = Scene::with(GatewayLimits {
        requests: 1,
        ..GatewayLimits::default()
    });
    scene.bus.set_mode(FakeMode::Unavailable);
    let first = scene.send(push(PUSH));
    let others = async {
        scene.bus.publish_called().await;
        assert_eq!(scene.send(push(PUSH)).await.problem(), (429, "too-many-requests"));
        assert_eq!(scene.send(get("/healthz")).await.status, 200);
        scene.bus.set_mode(FakeMode::Confirm);
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.status, 202);
}

#[tokio::test]
async fn readiness_names_unavailable_dependencies() {
    let scene = Scene::new();
    let ready = scene.send(get("/readyz")).await;
    assert_eq!(
        (ready.status.as_u16(), ready.body),
        (200, json!({"status": "ready"}))
    );
    scene.bus.set_mode(FakeMode::Unavailable);
    scene.stop.cancel();
    let away = scene.send(get("/readyz")).await;
    assert_eq!(away.status, 503);
    assert_eq!(
        away.body,
        json!({"status": "not-ready", "away": ["broker", "gateway"]})
    );
    assert_eq!(scene.send(get("/healthz")).await.status, 200);
}

#[tokio::test]
async fn the_openapi_document_is_committed_and_has_every_route() {
    let scene = Scene::new();
    let document = scene.send(get("/openapi.json")).await.body;
    let committed: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap_or_default();
    assert!(
        committed == document && document == gateway::openapi(),
        "producer/openapi.json is outdated; regenerate it and check the difference:\n  \
         cargo run -- schema openapi > producer/openapi.json"
    );
    let paths = document["paths"].as_object().unwrap();
    for (path, item) in paths {
        let path = path
            .replace("{forge}", "github")
            .replace("{repository}", "settings")
            .replace("netbox/{source}", "netbox/main")
            .replace("nautobot/{source}", "nautobot/campus");
        for method in ["get", "post"] {
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(&path);
            let status = scene.send(request.body(Body::empty()).unwrap()).await.status;
            let wrong = status == 405;
            assert_eq!(item.get(method).is_none(), wrong, "{method} {path} {status}");
            assert_ne!(status, 404, "{path}");
        }
    }
    assert_eq!(paths.len(), 8);
}

#[tokio::test]
async fn metrics_need_no_token_and_count_requests_by_route() {
    let scene = Scene::new();
    let refused = Request::builder().method("POST").uri("/webhooks/github/nobody");
    assert_eq!(scene.send(refused.body(Body::empty()).unwrap()).await.status, 404);
    let shown = scene.router.clone().oneshot(get("/metrics")).await.unwrap();
    assert_eq!(shown.status(), 200);
    assert_eq!(
        shown.headers()["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let bytes = axum::body::to_bytes(shown.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let counted = "lockstep_http_requests_total{server=\"gateway\",route=\"/webhooks/{forge}/{repository}\",status=\"404\"}";
    assert!(text.contains(counted), "{text}");
    assert!(!text.contains("nobody"), "requested paths must not be labels");
}
