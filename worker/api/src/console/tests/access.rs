//! Which requests are rejected, readiness, and the shutdown.

use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use lockstep_http::Tokens;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{STRUCTURED, changed, context, removed, request, scene, scene_with};
use crate::fakes::FakeMode;
use crate::{Console, ConsoleLimits};

#[tokio::test]
async fn a_history_is_that_of_one_key_and_bounded() {
    let scene = scene();
    for (path, expected) in [
        ("/v1/devices/sw9/checks", (404, "unknown-device")),
        ("/v1/devices/sw1/facts?limit=0&key=a", (400, "invalid-query")),
        ("/v1/devices/sw1/checks?limit=101&key=a", (400, "invalid-query")),
        ("/v1/devices/sw1/checks?limit=10", (400, "invalid-query")),
        ("/v1/devices/sw1/checks?keys=a", (400, "invalid-query")),
    ] {
        assert_eq!(scene.get(path).await.problem(), expected, "{path}");
    }
}

#[tokio::test]
async fn each_invalid_request_gets_its_status_and_problem() {
    let scene = scene();
    let get = |path: &str| request("GET", path, "all").body(Body::empty()).unwrap();
    let post = |content_type: &str, body: Value| {
        let request = request("POST", "/v1/events", "all").header("content-type", content_type);
        request.body(Body::from(body.to_string())).unwrap()
    };
    let table = [
        (get("/nothing"), (404, "unknown-path")),
        (get("/v1/nothing"), (404, "unknown-path")),
        (get("/v1/events"), (405, "wrong-method")),
        (
            request("DELETE", "/v1/messages", "all")
                .body(Body::empty())
                .unwrap(),
            (405, "wrong-method"),
        ),
        (
            request("POST", "/v1/devices", "all").body(Body::empty()).unwrap(),
            (405, "wrong-method"),
        ),
        (
            post("application/json", removed("sw1")),
            (415, "unsupported-media-type"),
        ),
        (post(STRUCTURED, json!("text")), (400, "invalid-json")),
        (
            post(STRUCTURED, json!({"specversion": "1.0"})),
            (400, "invalid-envelope"),
        ),
        (
            post(STRUCTURED, changed(|event| event["id"] = Value::Null)),
            (400, "invalid-envelope"),
        ),
        (
            post(STRUCTURED, changed(|event| event["source"] = "".into())),
            (400, "invalid-envelope"),
        ),
        (
            post(STRUCTURED, changed(|event| event["time"] = "noon".into())),
            (400, "invalid-envelope"),
        ),
        (
            post(STRUCTURED, changed(|event| event["type"] = "lockstep.x".into())),
            (400, "unknown-type"),
        ),
        (post(STRUCTURED, removed("not a name")), (400, "invalid-data")),
        (get("/v1/messages"), (400, "invalid-query")),
        (
            get("/v1/messages?source=urn:test&id=1&wait=61"),
            (400, "invalid-query"),
        ),
        (get("/v1/messages?source=urn:test&id=1"), (404, "no-outcome")),
        (get("/v1/devices?synchronised=false"), (400, "invalid-query")),
        (get("/v1/devices?synchronized=maybe"), (400, "invalid-query")),
        (get("/v1/devices?limit=0"), (400, "invalid-query")),
        (get("/v1/devices?state=GONE"), (400, "invalid-query")),
        (get("/v1/dead?state=gone"), (400, "invalid-query")),
        (get("/v1/dead?lane=fast"), (400, "invalid-query")),
        (get("/v1/dead?code=Crashed%20it"), (400, "invalid-query")),
        (get("/v1/dead?type=a%00b"), (400, "invalid-query")),
        (get("/v1/dead?before=-1"), (400, "invalid-query")),
        (get("/v1/dead?limit=1001"), (400, "invalid-query")),
        (get("/v1/dead?codes=crashed"), (400, "invalid-query")),
        (get("/v1/dead/counts?state=processed"), (400, "invalid-query")),
        (get("/v1/dead/1"), (404, "unknown-dead-letter")),
        (get("/v1/dead/one"), (404, "unknown-dead-letter")),
        (
            request("POST", "/v1/dead/1", "all").body(Body::empty()).unwrap(),
            (405, "wrong-method"),
        ),
        (get("/v1/devices/sw9"), (404, "unknown-device")),
        (get("/v1/devices/%20"), (404, "unknown-device")),
        (get("/v1/devices/sw9/facts"), (404, "unknown-device")),
        (get("/v1/tasks?before=a"), (400, "invalid-query")),
        (get("/v1/tasks/1"), (404, "unknown-task")),
        (get("/v1/tasks/validate"), (404, "unknown-task")),
        (get("/v1/providers/telnet"), (404, "unknown-provider")),
        (get("/v1/schedules?limit=1001"), (400, "invalid-query")),
        (get("/v1/executions?state=DONE"), (400, "invalid-query")),
        (get("/v1/executions?hostname=a%20b"), (400, "invalid-query")),
        (get("/v1/executions?after=1"), (400, "invalid-query")),
        (get("/v1/executions/1"), (404, "unknown-execution")),
        (get("/v1/executions/one"), (404, "unknown-execution")),
        (get("/v1/executions/1/elements"), (404, "unknown-execution")),
        (
            get("/v1/executions/1/elements?outcome=SUCCESSFUL"),
            (400, "invalid-query"),
        ),
        (get("/v1/elements/1"), (404, "unknown-element")),
        (get("/v1/elements/-1"), (404, "unknown-element")),
    ];
    for (request, expected) in table {
        let what = format!("{} {}", request.method(), request.uri());
        let answer = scene.send(request).await;
        assert_eq!(answer.problem(), expected, "{what} {}", answer.body);
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test]
async fn every_request_without_a_valid_token_gets_the_same_answer() {
    for scene in [scene(), scene_with(ConsoleLimits::default(), false)] {
        let mut answers = Vec::new();
        for value in [
            None,
            Some("Bearer wrong"),
            Some("Bearer "),
            Some("Basic YTpi"),
            Some("all"),
            Some("Bearer allx"),
        ] {
            for (method, path) in [
                ("GET", "/v1/devices"),
                ("POST", "/v1/events"),
                ("GET", "/v1/messages"),
                ("GET", "/v1/dead"),
                ("GET", "/v1/dead/counts"),
                ("GET", "/v1/dead/1"),
                ("GET", "/v1/tasks"),
                ("POST", "/v1/tasks/validate"),
                ("GET", "/v1/providers"),
                ("GET", "/v1/schedules"),
                ("GET", "/v1/executions"),
                ("GET", "/v1/executions/stopped"),
                ("GET", "/v1/executions/1/elements"),
                ("GET", "/v1/elements/1"),
                ("GET", "/v1/devices/sw1/facts"),
                ("GET", "/v1/devices/sw1/history"),
            ] {
                let mut request = Request::builder().method(method).uri(path);
                if let Some(value) = value {
                    request = request.header("authorization", value);
                }
                let answer = scene.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(answer.problem(), (401, "unauthorized"), "{value:?} {path}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer");
                answers.push(answer.body);
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        let detail = answers[0]["detail"].as_str().unwrap();
        assert!(detail.contains("`console.tokens`"), "{detail}");
        assert!(
            detail.contains("tokens of the gateway are not accepted here"),
            "{detail}"
        );
    }
    let closed = scene_with(ConsoleLimits::default(), false);
    assert_eq!(closed.get("/v1/devices").await.problem(), (401, "unauthorized"));
}

#[tokio::test]
async fn an_unavailable_store_is_answered_with_503_and_no_secret() {
    let scene = scene();
    scene.store.unavailable.store(true, Ordering::SeqCst);
    for path in [
        "/v1/devices",
        "/v1/devices/sw1",
        "/v1/dead",
        "/v1/dead/counts",
        "/v1/dead/1",
        "/v1/tasks",
        "/v1/tasks/1",
        "/v1/schedules",
        "/v1/executions?total=true",
        "/v1/executions/1",
        "/v1/executions/stopped",
        "/v1/executions/1/elements",
        "/v1/elements/1",
        "/v1/devices/sw1/facts",
        "/v1/devices/sw1/history",
        "/v1/messages?source=urn:test&id=1&wait=5",
    ] {
        let answer = scene.get(path).await;
        assert_eq!(answer.problem(), (503, "store-away"), "{path}");
        assert!(answer.headers.contains_key("retry-after"));
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
    }
}

#[tokio::test]
async fn readiness_names_what_is_unavailable() {
    let scene = scene();
    let anonymous = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    let ready = scene.send(anonymous("/readyz")).await;
    assert_eq!(
        (ready.status.as_u16(), ready.body),
        (200, json!({"status": "ready"}))
    );

    scene.store.unavailable.store(true, Ordering::SeqCst);
    scene.bus.set_mode(FakeMode::Unavailable);
    let not_ready = scene.send(anonymous("/readyz")).await;
    assert_eq!(not_ready.status, 503);
    assert_eq!(
        not_ready.body,
        json!({"status": "not-ready", "away": ["store", "broker"]})
    );
    assert_eq!(scene.send(anonymous("/healthz")).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn requests_above_the_limit_are_rejected() {
    let scene = scene_with(
        ConsoleLimits {
            waiting: 1,
            ..ConsoleLimits::default()
        },
        true,
    );
    let first = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let second = async {
        scene.store.outcome_read.notified().await;
        let answer = scene.get("/v1/messages?source=urn:test&id=1").await;
        scene.stop.cancel();
        answer
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.problem(), (429, "too-many-requests"));
    assert_eq!(first.problem(), (503, "stopping"));
    assert_eq!(
        scene.get("/v1/devices").await.status,
        200,
        "other requests have a limit of their own"
    );
}

#[tokio::test]
async fn serving_ends_when_it_is_cancelled() {
    let scene = scene();
    let context = context(&scene.bus, &scene.store, Tokens::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(Console::new(context).serve(listener, scene.stop.clone()));
    scene.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap();
}
