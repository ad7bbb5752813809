//! Subscriptions by WebSocket: what they tell, how they are bounded, and when they end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

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

use super::super::tasks::task;
use super::super::{Console, context};
use super::subscriptions::{QUERY, set};
use crate::ConsoleLimits;
use crate::fakes::{FakeBus, FakeStore};

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
