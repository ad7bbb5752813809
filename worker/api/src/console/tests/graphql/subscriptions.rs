//! Subscriptions: what they tell of an execution, by server-sent events and by WebSocket, and when they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::StatusCode;
use futures_util::{SinkExt, StreamExt};
use lockstep_http::{Token, Tokens};
use lockstep_protocol::{ExecutionState, TypePattern};
use lockstep_store::TaskRow;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::super::executions::execution;
use super::super::tasks::task;
use super::super::{Console, Scene, context, request, scene, scene_with};
use crate::ConsoleLimits;
use crate::fakes::{FakeBus, FakeStore};

const QUERY: &str = "subscription { execution(id: 7) { id state } }";

fn running(scene: Scene) -> Scene {
    set(&scene.store, 0, ExecutionState::Running);
    scene
}

/// The only execution has this many done elements and this state.
fn set(store: &FakeStore, done: u64, state: ExecutionState) {
    let mut row = execution(7, "uptime", state);
    row.counts.done = done;
    *store.executions.lock().unwrap() = vec![row];
}

/// An answer by server-sent events, as far as it has arrived.
struct Events {
    body: BodyDataStream,
    text: String,
}

impl Events {
    /// The name and the data of the next event; `None` at the end of the stream.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    event
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(str::trim)
                };
                let parsed = field("event:").map(|name| {
                    let data = field("data:").unwrap_or_default();
                    (name.to_owned(), serde_json::from_str(data).unwrap_or(Value::Null))
                });
                self.text = rest.to_owned();
                match parsed {
                    Some(event) => return Some(event),
                    // A comment that keeps the connection.
                    None => continue,
                }
            }
            let part = self.body.next().await?.unwrap();
            self.text.push_str(std::str::from_utf8(&part).unwrap());
        }
    }

    /// The state in the next event.
    async fn state(&mut self) -> String {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "next");
        data["data"]["execution"]["state"]
            .as_str()
            .unwrap_or_else(|| panic!("{data}"))
            .to_owned()
    }

    /// The code of the only error of the next event.
    async fn error(&mut self) -> String {
        let (name, data) = self.next().await.expect("an event");
        assert_eq!(name, "next");
        let code = data["errors"][0]["extensions"]["code"].as_str();
        code.unwrap_or_else(|| panic!("{data}")).to_owned()
    }

    async fn completes(&mut self) {
        let (name, _) = self.next().await.expect("an event");
        assert_eq!(name, "complete");
        assert_eq!(self.next().await, None);
    }
}

async fn listen(scene: &Scene, token: &str, query: &str) -> Result<Events, StatusCode> {
    let request = request("POST", "/graphql", token)
        .header("content-type", "application/json")
        .header("accept", "text/event-stream");
    let body = Body::from(json!({"query": query}).to_string());
    let response = scene
        .router
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    if response.status() != 200 {
        return Err(response.status());
    }
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    Ok(Events {
        body: response.into_body().into_data_stream(),
        text: String::new(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_subscription_tells_each_change_until_the_execution_ended() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(events.state().await, "RUNNING");
    set(&scene.store, 1, ExecutionState::Running);
    assert_eq!(events.state().await, "RUNNING");
    set(&scene.store, 2, ExecutionState::Successful);
    assert_eq!(events.state().await, "SUCCESSFUL");
    events.completes().await;

    let mut ended = listen(
        &scene,
        "all",
        "subscription { executionSubscription(id: 7) { execution { id } } }",
    )
    .await
    .unwrap();
    let (_, data) = ended.next().await.unwrap();
    assert_eq!(
        data,
        json!({"data": {"executionSubscription": {"execution": {"id": "7"}}}})
    );
    ended.completes().await;
}

/// Each answer has loaders of its own: what changes meanwhile is read again.
#[tokio::test(start_paused = true)]
async fn a_subscription_reads_what_the_fields_of_each_answer_need() {
    let scene = running(scene());
    let number = scene.store.executions.lock().unwrap()[0].request.task_number;
    let set_task = |text: &str| {
        *scene.store.tasks.lock().unwrap() = vec![TaskRow {
            description: Some(text.to_owned()),
            ..task(number, "uptime")
        }];
    };
    set_task("before");
    let query = "subscription { execution(id: 7) { neopsTask { description } } }";
    let mut events = listen(&scene, "all", query).await.unwrap();
    for text in ["before", "after"] {
        let (_, answer) = events.next().await.unwrap();
        assert_eq!(
            answer["data"]["execution"]["neopsTask"],
            json!({"description": text})
        );
        set_task("after");
        set(&scene.store, 1, ExecutionState::Running);
    }
}

#[tokio::test(start_paused = true)]
async fn queries_and_mutations_are_answered_as_events_too() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", "{ execution(id: 7) { id state } }")
        .await
        .unwrap();
    assert_eq!(events.state().await, "RUNNING");
    events.completes().await;
}

/// Who listens late or reads slowly gets what is, and nothing is kept for them.
#[tokio::test(start_paused = true)]
async fn a_slow_listener_misses_what_was_in_between() {
    let scene = running(scene());
    let mut slow = listen(&scene, "all", QUERY).await.unwrap();
    let mut quick = listen(&scene, "all", QUERY).await.unwrap();
    slow.state().await;
    quick.state().await;
    for done in 1..=50 {
        set(&scene.store, done, ExecutionState::Running);
        quick.state().await;
    }
    set(&scene.store, 51, ExecutionState::Failed);
    assert_eq!(quick.state().await, "FAILED");
    let mut seen = 1;
    while slow.state().await != "FAILED" {
        seen += 1;
    }
    assert!(seen <= 2, "{seen}");
    slow.completes().await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_is_read_once_for_all_who_listen_and_not_when_nobody_does() {
    let scene = running(scene());
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut events = listen(&scene, "all", QUERY).await.unwrap();
        events.state().await;
        all.push(events);
    }
    let reads = || scene.store.execution_reads.load(Ordering::SeqCst);
    assert_eq!(reads(), 20, "one by each subscription");
    // A pending read of the body makes the clock go on.
    let waiting = tokio::time::timeout(Duration::from_mins(1), all[0].next());
    assert!(waiting.await.is_err(), "nothing changed");
    let polled = reads() - 20;
    assert!((10..=20).contains(&polled), "{polled} reads in a minute");
    drop(all);
    let before = reads();
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(reads() <= before + 1, "{} reads for nobody", reads() - before);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_survives_the_store_and_ends_with_the_execution() {
    let scene = running(scene());
    let mut events = listen(&scene, "all", QUERY).await.unwrap();
    events.state().await;
    scene.store.unavailable.store(true, Ordering::SeqCst);
    let silent = tokio::time::timeout(Duration::from_secs(30), events.next());
    assert!(silent.await.is_err());
    let mut refused = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(refused.error().await, "store-away");
    refused.completes().await;

    scene.store.unavailable.store(false, Ordering::SeqCst);
    set(&scene.store, 1, ExecutionState::Running);
    assert_eq!(events.state().await, "RUNNING");
    scene.store.executions.lock().unwrap().clear();
    assert_eq!(events.error().await, "unknown-execution");
    events.completes().await;
    let mut unknown = listen(&scene, "all", QUERY).await.unwrap();
    assert_eq!(unknown.error().await, "unknown-execution");
    unknown.completes().await;
}

#[tokio::test(start_paused = true)]
async fn a_token_without_rights_hears_nothing() {
    let scene = running(scene());
    let mut events = listen(&scene, "few", QUERY).await.unwrap();
    assert_eq!(events.error().await, "not-allowed");
    events.completes().await;
    assert_eq!(
        listen(&scene, "wrong", QUERY).await.err(),
        Some(StatusCode::UNAUTHORIZED)
    );
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_end_when_the_console_stops() {
    let limits = ConsoleLimits {
        streams: 2,
        ..ConsoleLimits::default()
    };
    let scene = running(scene_with(limits, true));
    let mut first = listen(&scene, "all", QUERY).await.unwrap();
    let second = listen(&scene, "all", QUERY).await.unwrap();
    let third = listen(&scene, "all", QUERY).await;
    assert_eq!(third.err(), Some(StatusCode::TOO_MANY_REQUESTS));
    drop(second);
    let mut third = listen(&scene, "all", QUERY).await.unwrap();
    for events in [&mut first, &mut third] {
        events.state().await;
    }
    scene.stop.cancel();
    for events in [&mut first, &mut third] {
        assert_eq!(
            events.next().await,
            None,
            "without `complete`, so that the client connects again"
        );
    }
}

/// A console that is served on a socket.
struct Served {
    store: Arc<FakeStore>,
    address: SocketAddr,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

async fn served() -> Served {
    let (bus, store) = (Arc::new(FakeBus::default()), Arc::new(FakeStore::default()));
    set(&store, 0, ExecutionState::Running);
    let token = |name: &str, secret: &str, pattern: &str| {
        let types: Vec<TypePattern> = vec![pattern.parse().unwrap()];
        Token::new(name, &secret.into(), types)
    };
    let tokens: Tokens = [
        token("root", "all", "*"),
        token("events", "few", "lockstep.interface.*"),
    ]
    .into_iter()
    .collect();
    let limits = ConsoleLimits {
        // Connections live longer than requests.
        request_timeout: Duration::from_millis(100),
        streams: 4,
        send_timeout: Duration::from_millis(200),
        ..ConsoleLimits::default()
    };
    let console = Console::with_limits(context(&bus, &store, tokens), limits);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let serving = tokio::spawn(console.serve(listener, stop.clone()));
    Served {
        store,
        address,
        stop,
        serving,
    }
}

/// A WebSocket of a client.
struct Socket(WebSocketStream<TcpStream>);

impl Served {
    async fn try_connect(
        &self,
        protocol: &'static str,
        authorization: Option<&'static str>,
    ) -> Result<Socket, Error> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut request = format!("ws://{}/graphql", self.address).into_client_request()?;
        let headers = request.headers_mut();
        headers.insert("sec-websocket-protocol", protocol.parse().unwrap());
        if let Some(authorization) = authorization {
            headers.insert("authorization", authorization.parse().unwrap());
        }
        let (socket, _) = tokio_tungstenite::client_async(request, stream).await?;
        Ok(Socket(socket))
    }

    async fn connect(&self, authorization: Option<&'static str>) -> Socket {
        self.try_connect("graphql-transport-ws", authorization)
            .await
            .unwrap()
    }

    /// A connection that may subscribe.
    async fn begun(&self) -> Socket {
        let mut socket = self.connect(None).await;
        socket
            .send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer all"}}))
            .await;
        assert_eq!(socket.message().await["type"], "connection_ack");
        socket
    }
}

impl Socket {
    async fn send(&mut self, message: Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn subscribe(&mut self, id: &str, query: &str) {
        self.send(json!({"type": "subscribe", "id": id, "payload": {"query": query}}))
            .await;
    }

    /// The next message.
    async fn message(&mut self) -> Value {
        loop {
            match self.0.next().await.expect("a message").unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The code with which the server closes the connection.
    async fn closed(&mut self) -> u16 {
        loop {
            match self.0.next().await.expect("a close frame").unwrap() {
                Message::Close(Some(frame)) => return frame.code.into(),
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_websocket_tells_the_progress_of_several_executions_and_answers_queries() {
    let served = served().await;
    let mut socket = served.begun().await;
    socket.subscribe("a", QUERY).await;
    let next = socket.message().await;
    assert_eq!(
        next,
        json!({"type": "next", "id": "a", "payload": {"data": {"execution": {"id": "7", "state": "RUNNING"}}}})
    );
    socket.subscribe("b", "{ execution(id: 7) { id } }").await;
    assert_eq!(socket.message().await["payload"]["data"]["execution"]["id"], "7");
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "b"}));
    socket.subscribe("c", "subscription { nothing }").await;
    assert_eq!(
        socket.message().await["payload"]["errors"][0]["extensions"]["code"],
        "invalid-query"
    );
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "c"}));
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.message().await["type"], "pong");
    // Longer than a request may take.
    for done in 1..4 {
        set(&served.store, done, ExecutionState::Running);
        assert_eq!(socket.message().await["id"], "a");
    }
    set(&served.store, 4, ExecutionState::Successful);
    assert_eq!(
        socket.message().await["payload"]["data"]["execution"]["state"],
        "SUCCESSFUL"
    );
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "a"}));
}

#[tokio::test]
async fn a_connection_without_a_valid_token_is_closed() {
    let served = served().await;
    let status = |result: Result<Socket, Error>| match result.err() {
        Some(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    };
    let refused = served
        .try_connect("graphql-transport-ws", Some("Bearer wrong"))
        .await;
    assert_eq!(status(refused), 401);
    assert_eq!(
        status(served.try_connect("graphql-ws", Some("Bearer all")).await),
        400
    );
    assert_eq!(status(served.try_connect("soap", None).await), 400);

    let mut silent = served.connect(None).await;
    let init = |payload: Value| json!({"type": "connection_init", "payload": payload});
    let table = [
        (init(json!({"Authorization": "Bearer wrong"})), 4403),
        (init(json!({"Authorization": "all"})), 4403),
        (init(Value::Null), 4403),
        (
            json!({"type": "subscribe", "id": "a", "payload": {"query": QUERY}}),
            4401,
        ),
        (json!({"type": "nonsense"}), 4400),
        (json!([]), 4400),
    ];
    for (message, code) in table {
        let mut socket = served.connect(None).await;
        socket.send(message.clone()).await;
        assert_eq!(socket.closed().await, code, "{message}");
    }
    let mut header = served.connect(Some("Bearer few")).await;
    header.send(json!({"type": "connection_init"})).await;
    assert_eq!(header.message().await["type"], "connection_ack");
    header.subscribe("a", QUERY).await;
    assert_eq!(
        header.message().await["payload"]["errors"][0]["extensions"]["code"],
        "not-allowed"
    );
    header.send(json!({"type": "connection_init"})).await;
    assert_eq!(header.closed().await, 4429);
    let waited = tokio::time::timeout(Duration::from_secs(20), silent.closed());
    assert_eq!(
        waited.await,
        Ok(4408),
        "who sends nothing is closed within seconds"
    );
}

#[tokio::test]
async fn operations_connections_and_messages_are_bounded() {
    let served = served().await;
    let mut socket = served.begun().await;
    for index in 0..32 {
        socket.subscribe(&format!("s{index}"), QUERY).await;
        assert_eq!(socket.message().await["payload"]["data"]["execution"]["id"], "7");
    }
    socket.subscribe("more", QUERY).await;
    let refused = socket.message().await;
    assert_eq!(
        refused["payload"]["errors"][0]["extensions"]["code"],
        "too-many-operations"
    );
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "more"}));
    socket.send(json!({"type": "complete", "id": "s0"})).await;
    assert_eq!(socket.message().await, json!({"type": "complete", "id": "s0"}));
    socket.subscribe("again", QUERY).await;
    assert_eq!(socket.message().await["payload"]["data"]["execution"]["id"], "7");

    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(served.begun().await);
    }
    let mut fifth = served.connect(None).await;
    fifth
        .send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer all"}}))
        .await;
    assert_eq!(fifth.closed().await, 1013);

    let flood = json!({"type": "pong"}).to_string();
    for _ in 0..600 {
        if others[0].0.feed(Message::text(flood.clone())).await.is_err() {
            break;
        }
    }
    let _ = others[0].0.flush().await;
    assert_eq!(others[0].closed().await, 1008);
    let huge = json!({"type": "ping", "payload": {"x": "y".repeat(300 * 1024)}});
    others[1].send(huge).await;
    assert!(
        others[1]
            .0
            .next()
            .await
            .is_none_or(|frame| frame.is_err() || frame.unwrap().is_close()),
        "a message that is too large ends the connection"
    );
}

/// Its answers fill the buffers of the connection: 500 are allowed in a window, each with 100 KiB.
#[tokio::test]
async fn a_client_that_does_not_read_loses_its_connection() {
    let served = served().await;
    *served.store.tasks.lock().unwrap() = vec![TaskRow {
        description: Some("x".repeat(100 * 1024)),
        ..task(1, "uptime")
    }];
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(served.begun().await);
    }
    for index in 0..480 {
        let payload = json!({"query": "{ tasks(first: 1) { nodes { description } } }"});
        let request = json!({"type": "subscribe", "id": index.to_string(), "payload": payload});
        // The server may have closed the connection before the client sent all.
        if clients[0]
            .0
            .send(Message::text(request.to_string()))
            .await
            .is_err()
        {
            break;
        }
    }
    // Then another client has its place.
    let another = async {
        loop {
            let mut socket = served.connect(None).await;
            socket
                .send(json!({"type": "connection_init", "payload": {"Authorization": "Bearer all"}}))
                .await;
            if let Some(Ok(Message::Text(_))) = socket.0.next().await {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), another)
        .await
        .expect("the connection ends");
}

#[tokio::test]
async fn a_console_that_stops_closes_its_websockets_and_waits_for_them() {
    let served = served().await;
    let mut begun = served.begun().await;
    begun.subscribe("a", QUERY).await;
    begun.message().await;
    let mut silent = served.connect(None).await;
    served.stop.cancel();
    assert_eq!(begun.closed().await, 1001);
    assert_eq!(silent.closed().await, 1001);
    drop((begun, silent));
    tokio::time::timeout(Duration::from_secs(5), served.serving)
        .await
        .expect("it ends soon")
        .unwrap();
}
