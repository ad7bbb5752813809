use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use lockstep_bus::Outgoing;
use lockstep_protocol::results::{EventApplied, Outcome, Scope};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Digest, Envelope, Identity, Kind, WorkResult};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::fakes::{FakeBus, FakeStore, Mood, Stopped, device};
use super::{Console, ConsoleContext, ConsoleLimits, Token, Tokens};
use crate::store::{InboxRow, InboxState};

const STRUCTURED: &str = "application/cloudevents+json";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Scene {
    bus: Arc<FakeBus>,
    store: Arc<FakeStore>,
    stop: CancellationToken,
    router: Router,
}

struct Answered {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    body: Value,
}

fn scene() -> Scene {
    scene_with(ConsoleLimits::default(), true)
}

fn scene_with(limits: ConsoleLimits, with_tokens: bool) -> Scene {
    let (bus, store) = (Arc::new(FakeBus::default()), Arc::new(FakeStore::default()));
    let token = |name: &str, secret: &str, pattern: &str| {
        Token::new(name, &secret.into(), vec![pattern.parse().unwrap()])
    };
    let tokens: Tokens = if with_tokens {
        [
            token("root", "all", "*"),
            token("ztp", "some", "lockstep.device.*"),
        ]
        .into_iter()
        .collect()
    } else {
        Tokens::default()
    };
    let context = ConsoleContext {
        bus: bus.clone(),
        inbox: store.clone(),
        fleet: store.clone(),
        schema: store.clone(),
        clock: Arc::new(Stopped),
        tokens,
    };
    let stop = CancellationToken::new();
    let router = Console::with_limits(context, limits).router(stop.clone());
    Scene {
        bus,
        store,
        stop,
        router,
    }
}

impl Scene {
    async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answered {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    async fn get(&self, path: &str) -> Answered {
        self.send(request("GET", path, "all").body(Body::empty()).unwrap())
            .await
    }

    async fn post(&self, token: &str, event: &Value) -> Answered {
        let request = request("POST", "/v1/events", token).header("content-type", STRUCTURED);
        self.send(request.body(Body::from(event.to_string())).unwrap())
            .await
    }

    fn published(&self) -> Vec<Outgoing> {
        self.bus.published.lock().unwrap().clone()
    }

    fn only_published(&self) -> Value {
        let published = self.published();
        assert_eq!(published.len(), 1);
        serde_json::from_slice(&published[0].body).unwrap()
    }
}

impl Answered {
    /// The problem's status and code, after its shape was checked.
    fn problem(&self) -> (u16, &str) {
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.body["status"], self.status.as_u16());
        assert!(self.body["title"].is_string(), "{}", self.body);
        let kind = self.body["type"].as_str().unwrap();
        (
            self.status.as_u16(),
            kind.strip_prefix("urn:lockstep:problem:").unwrap(),
        )
    }
}

fn request(method: &str, path: &str, token: &str) -> axum::http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {token}"))
}

fn removed(hostname: &str) -> Value {
    json!({
        "specversion": "1.0", "id": "1", "source": "urn:test", "type": "lockstep.device.removed",
        "data": {"hostname": hostname},
    })
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut event = removed("sw1");
    change(&mut event);
    event
}

fn applied(id: &str) -> InboxRow {
    InboxRow {
        identity: identity(id),
        kind: "lockstep.device.removed".to_owned(),
        digest: Digest::of_bytes(b""),
        state: InboxState::Applied,
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
        actor: Some("ztp".to_owned()),
        subject: None,
        result: WorkResult::EventApplied(EventApplied {
            outcome: Outcome::Applied,
            reason: None,
            scope: Scope::Device,
            flipped: 0,
            devices: vec!["sw1".parse().unwrap()],
            truncated: false,
            unknown_hostnames: Vec::new(),
        }),
    }
}

fn identity(id: &str) -> Identity {
    serde_json::from_value(json!({"source": "urn:test", "id": id})).unwrap()
}

#[tokio::test]
async fn requests_get_the_status_and_problem_of_the_table() {
    let scene = scene();
    let get = |path: &str| request("GET", path, "all").body(Body::empty()).unwrap();
    let post = |content_type: &str, body: Value| {
        let request = request("POST", "/v1/events", "all").header("content-type", content_type);
        request.body(Body::from(body.to_string())).unwrap()
    };
    let table = [
        (get("/"), (404, "unknown-path")),
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
        (get("/v1/devices/sw9"), (404, "unknown-device")),
        (get("/v1/devices/%20"), (404, "unknown-device")),
    ];
    for (request, expected) in table {
        let what = format!("{} {}", request.method(), request.uri());
        let answered = scene.send(request).await;
        assert_eq!(answered.problem(), expected, "{what} {}", answered.body);
    }
    assert_eq!(scene.published(), []);
}

#[tokio::test]
async fn without_a_good_token_the_answer_is_always_the_same() {
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
            ] {
                let mut request = Request::builder().method(method).uri(path);
                if let Some(value) = value {
                    request = request.header("authorization", value);
                }
                let answered = scene.send(request.body(Body::empty()).unwrap()).await;
                assert_eq!(answered.problem(), (401, "unauthorized"), "{value:?} {path}");
                assert_eq!(answered.headers["www-authenticate"], "Bearer");
                answers.push(answered.body);
            }
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
    }
    let closed = scene_with(ConsoleLimits::default(), false);
    assert_eq!(closed.get("/v1/devices").await.problem(), (401, "unauthorized"));
}

#[tokio::test]
async fn a_token_publishes_only_its_types_and_learns_nothing_of_others() {
    let scene = scene();
    let sync = |data: Value| {
        changed(|event| {
            event["type"] = "lockstep.sync.requested".into();
            event["data"] = data;
        })
    };
    for data in [json!({"target": {"all": true}}), json!({"nonsense": 1})] {
        let answered = scene.post("some", &sync(data)).await;
        assert_eq!(answered.problem(), (403, "not-allowed"));
        assert!(
            answered.body["detail"]
                .as_str()
                .unwrap()
                .contains("lockstep.sync.requested")
        );
    }
    assert_eq!(scene.post("some", &removed("sw1")).await.status, 202);
    assert_eq!(scene.published().len(), 1);
}

#[tokio::test]
async fn results_are_refused_even_to_a_token_for_everything() {
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
    let answered = scene.post("some", &event).await;
    assert_eq!(answered.status, 202);
    assert_eq!(answered.body, json!({"source": "urn:test", "id": "1"}));

    let body = scene.only_published();
    assert_eq!(body["actor"], "ztp");
    assert_eq!(body["data"], json!({"hostname": "sw1", "of_tomorrow": [1]}));
    let outgoing = &scene.published()[0];
    assert_eq!(outgoing.destination, Destination::Inlet(Kind::DeviceRemoved));
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
        "the digest is the same whichever way the message comes"
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
        let answered = scene
            .send(request.body(Body::from(event.to_string())).unwrap())
            .await;
        assert_eq!(answered.status, 202);
        assert_eq!(scene.only_published()["traceparent"], expected);
    }
}

#[tokio::test]
async fn a_batch_is_published_in_order_or_refused_as_a_whole() {
    let scene = scene();
    let batch = |events: Value| {
        let request = request("POST", "/v1/events", "some")
            .header("content-type", "application/cloudevents-batch+json");
        request.body(Body::from(events.to_string())).unwrap()
    };
    let second = changed(|event| event["id"] = "2".into());
    let bad = changed(|event| event["type"] = "lockstep.mgmtdomain.changed".into());
    let refused = scene.send(batch(json!([removed("sw1"), bad]))).await;
    assert_eq!(refused.problem(), (403, "not-allowed"));
    assert_eq!(scene.published(), []);

    let answered = scene.send(batch(json!([removed("sw1"), second]))).await;
    assert_eq!(answered.status, 202);
    let both = json!([{"source": "urn:test", "id": "1"}, {"source": "urn:test", "id": "2"}]);
    assert_eq!(answered.body, both);
    assert_eq!(scene.published().len(), 2);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused() {
    let scene = scene();
    let huge = removed(&"a".repeat(4 * 1024 * 1024));
    assert_eq!(scene.post("all", &huge).await.problem(), (413, "too-large"));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_accepted_that_the_broker_did_not_confirm() {
    let scene = scene();
    let table = [
        (Mood::Full, (503, "queue-full"), true),
        (Mood::Silent, (503, "broker-away"), true),
        (Mood::Denies, (502, "broker-refused"), false),
    ];
    for (mood, expected, retry) in table {
        *scene.bus.mood.lock().unwrap() = mood;
        let started = Instant::now();
        let answered = scene.post("all", &removed("sw1")).await;
        assert_eq!(answered.problem(), expected);
        assert_eq!(answered.headers.contains_key("retry-after"), retry);
        assert!(started.elapsed() < Duration::from_secs(6));
        assert!(!answered.body.to_string().contains("secret"), "{}", answered.body);
    }
}

#[tokio::test]
async fn a_store_that_is_away_is_a_503_that_tells_no_secret() {
    let scene = scene();
    scene.store.away.store(true, Ordering::SeqCst);
    for path in [
        "/v1/devices",
        "/v1/devices/sw1",
        "/v1/messages?source=urn:test&id=1&wait=5",
    ] {
        let answered = scene.get(path).await;
        assert_eq!(answered.problem(), (503, "store-away"), "{path}");
        assert!(answered.headers.contains_key("retry-after"));
        assert!(!answered.body.to_string().contains("secret"), "{}", answered.body);
    }
}

#[tokio::test]
async fn readiness_names_what_is_away() {
    let scene = scene();
    let anonymous = |path: &str| Request::builder().uri(path).body(Body::empty()).unwrap();
    let ready = scene.send(anonymous("/readyz")).await;
    assert_eq!(
        (ready.status.as_u16(), ready.body),
        (200, json!({"status": "ready"}))
    );

    scene.store.away.store(true, Ordering::SeqCst);
    *scene.bus.mood.lock().unwrap() = Mood::Silent;
    let away = scene.send(anonymous("/readyz")).await;
    assert_eq!(away.status, 503);
    assert_eq!(
        away.body,
        json!({"status": "not-ready", "away": ["store", "broker"]})
    );
    assert_eq!(scene.send(anonymous("/healthz")).await.status, 200);
}

#[tokio::test]
async fn devices_are_filtered_and_paged() {
    let scene = scene();
    let fleet = [("sw1", true), ("sw2", false), ("sw3", false), ("sw4", false)];
    *scene.store.devices.lock().unwrap() = fleet
        .map(|(name, synchronized)| device(name, synchronized))
        .to_vec();
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
    let last = scene
        .get("/v1/devices?synchronized=false&limit=2&after=sw3")
        .await;
    assert_eq!(names(&last.body), ["sw4"]);
    assert!(last.body.get("next").is_none());
    assert_eq!(scene.get("/v1/devices/sw1").await.body["synchronized"], true);
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_wakes_when_the_outcome_is_there() {
    let scene = scene();
    let poll = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let work = async {
        scene.store.asked.notified().await;
        scene
            .store
            .rows
            .lock()
            .unwrap()
            .insert(identity("1"), applied("1"));
    };
    let started = Instant::now();
    let (answered, ()) = tokio::join!(poll, work);
    assert_eq!(answered.status, 200);
    assert!(started.elapsed() < Duration::from_secs(1));
    assert_eq!(answered.body["state"], "applied");
    assert_eq!(answered.body["by"], "ztp");
    assert_eq!(answered.body["result_type"], "lockstep.event.applied");
    assert_eq!(answered.body["result"]["devices"], json!(["sw1"]));
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_its_time_or_with_the_console() {
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
        scene.store.asked.notified().await;
        scene.stop.cancel();
    };
    let started = Instant::now();
    let (answered, ()) = tokio::join!(poll, stop);
    assert_eq!(answered.problem(), (503, "stopping"));
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn requests_above_the_limit_are_turned_away() {
    let scene = scene_with(
        ConsoleLimits {
            waiting: 1,
            ..ConsoleLimits::default()
        },
        true,
    );
    let first = scene.get("/v1/messages?source=urn:test&id=1&wait=60");
    let second = async {
        scene.store.asked.notified().await;
        let answered = scene.get("/v1/messages?source=urn:test&id=1").await;
        scene.stop.cancel();
        answered
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(second.problem(), (429, "too-many-requests"));
    assert_eq!(first.problem(), (503, "stopping"));
    assert_eq!(
        scene.get("/v1/devices").await.status,
        200,
        "other requests have places of their own"
    );
}

#[tokio::test]
async fn serving_ends_when_told_to() {
    let scene = scene();
    let context = ConsoleContext {
        bus: scene.bus.clone(),
        inbox: scene.store.clone(),
        fleet: scene.store.clone(),
        schema: scene.store.clone(),
        clock: Arc::new(Stopped),
        tokens: Tokens::default(),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let serving = tokio::spawn(Console::new(context).serve(listener, scene.stop.clone()));
    scene.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), serving)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}
