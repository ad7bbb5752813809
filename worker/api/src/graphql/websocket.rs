//! GraphQL by WebSocket, in the protocol `graphql-transport-ws`.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::http::{ClientMessage, WebSocket as GraphqlSocket, WebSocketProtocols, WsMessage};
use async_graphql::{Data, Executor, Request as GraphqlRequest, Response as Answer, ServerError};
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use lockstep_http::{KnowsTokens, Operator, ProblemResponse};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

use super::request::Requests;
use crate::access::Client;
use crate::context::Shared;
use crate::rest::problem;

/// The protocol of all messages.
const PROTOCOL: &str = "graphql-transport-ws";
/// The largest message of a client, in bytes.
const MAX_MESSAGE: usize = 256 * 1024;
/// The most operations of a connection at once.
const MAX_OPERATIONS: usize = 32;
/// How many messages of a client are taken in [`MESSAGE_WINDOW`].
const MAX_MESSAGES: u32 = 500;
const MESSAGE_WINDOW: Duration = Duration::from_secs(10);
/// Messages that were taken from the client and not processed yet.
const QUEUED: usize = 16;
/// How long a client may take to send its token.
const INIT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a client is asked whether it is there, and its token is looked up again; how long it may say nothing.
const PING_EVERY: Duration = Duration::from_secs(20);
const SILENCE: Duration = Duration::from_mins(1);

/// Why a connection is closed, with a code of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    /// The client closed it, or is gone.
    ByClient,
    Stopping,
    Invalid,
    Unauthorized,
    Forbidden,
    NoInit,
    Busy,
    TooMany,
    Silent,
    /// Whose token it is cannot be found out now.
    Unavailable,
}

impl Closed {
    const fn frame(self) -> Option<(u16, &'static str)> {
        match self {
            Self::ByClient => None,
            Self::Stopping => Some((1001, "the server is stopping")),
            Self::Invalid => Some((4400, "not a message of graphql-transport-ws")),
            Self::Unauthorized => Some((4401, "send connection_init first")),
            Self::Forbidden => Some((4403, "send a valid token as Authorization in connection_init")),
            Self::NoInit => Some((4408, "connection_init did not arrive in time")),
            Self::Busy => Some((1013, "too many connections; connect again after a moment")),
            Self::TooMany => Some((1008, "too many messages")),
            Self::Silent => Some((1001, "the client did not answer pings")),
            Self::Unavailable => Some((1013, "the store is unavailable; connect again after a moment")),
        }
    }
}

/// `GET /graphql`: upgrades to a WebSocket. The token comes in the header `Authorization`, or in the first message.
pub(crate) async fn upgrade(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    client: Client,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ProblemResponse> {
    if !headers.contains_key(UPGRADE) {
        return Err(problem::wrong_method(method, uri).await);
    }
    let invalid = |detail: String| {
        ProblemResponse::bad_request("invalid-upgrade", "the connection cannot be upgraded", detail)
    };
    let operator = match headers.get(AUTHORIZATION).map(|value| value.to_str()) {
        None => None,
        Some(authorization) => {
            let sender = match authorization {
                Ok(text) => shared.sender(text).await?,
                Err(_) => None,
            };
            Some(sender.ok_or_else(|| ProblemResponse::unauthorized(Shared::ACCEPTED))?)
        }
    };
    let upgrade = upgrade.map_err(|rejection| invalid(rejection.body_text()))?;
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    if !offered.any(|protocol| protocol.trim() == PROTOCOL) {
        return Err(invalid(format!(
            "offer the protocol {PROTOCOL} in Sec-WebSocket-Protocol"
        )));
    }
    // Clients without a token have places of their own, so that they take none away from the others.
    let place = match &operator {
        Some(_) => shared.streams.place()?,
        None => shared.streams.unauthenticated()?,
    };
    let tracked = shared.streams.tasks.token();
    let upgrade = upgrade
        .protocols([PROTOCOL])
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| async move {
        let connection = Connection {
            socket,
            heard: Instant::now(),
            budget: Budget::new(Instant::now()),
            shared,
        };
        connection.serve(operator, place, client, &headers).await;
        drop(tracked);
    }))
}

/// A connection, from its upgrade on.
struct Connection {
    socket: WebSocket,
    /// When the client sent something last.
    heard: Instant,
    budget: Budget,
    shared: Arc<Shared>,
}

impl Connection {
    async fn serve(
        mut self,
        operator: Option<Operator>,
        place: OwnedSemaphorePermit,
        client: Client,
        headers: &HeaderMap,
    ) {
        let stop = self.shared.stop.clone();
        let in_header = operator.is_some();
        let init = tokio::time::timeout(INIT_TIMEOUT, self.init(operator));
        let begun = tokio::select! {
            init = init => init.unwrap_or(Err(Closed::NoInit)),
            () = stop.cancelled() => Err(Closed::Stopping),
        };
        let place = if in_header {
            Ok(place)
        } else {
            drop(place);
            self.shared.streams.place()
        };
        let closed = match (begun, place) {
            (Ok(operator), Ok(_place)) => self.answer(operator, client, headers).await,
            (Ok(_), Err(_)) => Closed::Busy,
            (Err(closed), _) => closed,
        };
        if let Some((code, reason)) = closed.frame() {
            tracing::debug!(code, reason, "closing a WebSocket");
            let frame = CloseFrame {
                code,
                reason: reason.into(),
            };
            let _ = self.send(Message::Close(Some(frame))).await;
        }
    }

    /// Waits for `connection_init`, and returns whose connection it is: that of the header, unless this message says another.
    async fn init(&mut self, in_header: Option<Operator>) -> Result<Operator, Closed> {
        loop {
            match self.receive().await? {
                None | Some(ClientMessage::Pong { .. }) => {}
                Some(ClientMessage::Ping { .. }) => {
                    self.send(Message::Text(r#"{"type":"pong"}"#.into())).await?;
                }
                Some(ClientMessage::ConnectionInit { payload }) => {
                    let sender = match payload.as_ref().and_then(authorization) {
                        Some(authorization) => {
                            let sender = self.shared.sender(authorization).await;
                            sender.map_err(|_| Closed::Unavailable)?
                        }
                        None => in_header,
                    };
                    return sender.ok_or(Closed::Forbidden);
                }
                Some(_) => return Err(Closed::Unauthorized),
            }
        }
    }

    /// Answers operations until the connection ends.
    async fn answer(&mut self, operator: Operator, client: Client, headers: &HeaderMap) -> Closed {
        let accepted = operator.clone();
        let executor = Operations {
            requests: Requests::new(Arc::clone(&self.shared), operator, client, headers),
            places: Arc::new(Semaphore::new(MAX_OPERATIONS)),
        };
        let (queue, queued) = mpsc::channel(QUEUED);
        let queued = stream::unfold(queued, async |mut queued| {
            queued.recv().await.map(|message| (Ok(message), queued))
        });
        let answers =
            GraphqlSocket::from_message_stream(executor, queued.boxed(), WebSocketProtocols::GraphQLWS);
        let mut answers = answers.boxed();
        let init = ClientMessage::ConnectionInit { payload: None };
        if queue.try_send(init).is_err() {
            return Closed::TooMany;
        }
        let stop = self.shared.stop.clone();
        let mut ping = tokio::time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            let sent = tokio::select! {
                () = stop.cancelled() => return Closed::Stopping,
                received = self.receive() => match received {
                    Ok(None) => Ok(()),
                    Ok(Some(message)) => queue.try_send(message).map_err(|_| Closed::TooMany),
                    Err(closed) => Err(closed),
                },
                answer = answers.next() => match answer {
                    Some(WsMessage::Text(text)) => self.send(Message::Text(text.into())).await,
                    Some(WsMessage::Close(code, reason)) => {
                        let frame = CloseFrame { code, reason: reason.into() };
                        let _ = self.send(Message::Close(Some(frame))).await;
                        return Closed::ByClient;
                    }
                    None => return Closed::ByClient,
                },
                _ = ping.tick() => {
                    if self.heard.elapsed() > SILENCE {
                        return Closed::Silent;
                    }
                    if !self.shared.still_accepts(&accepted).await {
                        return Closed::Forbidden;
                    }
                    self.send(Message::Ping(Vec::new().into())).await
                }
            };
            if let Err(closed) = sent {
                return closed;
            }
        }
    }

    /// The next message; `None` for a frame without one. Cancelling it loses nothing.
    async fn receive(&mut self) -> Result<Option<ClientMessage>, Closed> {
        let frame = match self.socket.recv().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "a WebSocket failed");
                return Err(Closed::ByClient);
            }
            None => return Err(Closed::ByClient),
        };
        self.heard = Instant::now();
        if !self.budget.take(self.heard) {
            return Err(Closed::TooMany);
        }
        let bytes = match &frame {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => return Ok(None),
            Message::Close(_) => return Err(Closed::ByClient),
        };
        ClientMessage::from_bytes(bytes)
            .map(Some)
            .map_err(|_| Closed::Invalid)
    }

    /// Sends a frame, if the client takes it in time.
    async fn send(&mut self, frame: Message) -> Result<(), Closed> {
        match tokio::time::timeout(self.shared.limits.send_timeout, self.socket.send(frame)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Closed::ByClient),
        }
    }
}

/// The token in the payload of `connection_init`.
fn authorization(payload: &Value) -> Option<&str> {
    let mut fields = payload.as_object()?.iter();
    let (_, value) = fields.find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
    value.as_str()
}

/// Runs the operations of a connection, at most [`MAX_OPERATIONS`] at once.
#[derive(Clone)]
struct Operations {
    requests: Requests,
    places: Arc<Semaphore>,
}

impl Executor for Operations {
    async fn execute(&self, request: GraphqlRequest) -> Answer {
        self.requests.execute(request).await
    }

    fn execute_stream(&self, request: GraphqlRequest, _: Option<Arc<Data>>) -> BoxStream<'static, Answer> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let error = ServerError::new(
                format!("a connection has at most {MAX_OPERATIONS} operations at once; end another one"),
                None,
            );
            let answer = super::request::coded(error, "too-many-operations");
            return std::future::ready(Answer::from_errors(vec![answer]))
                .into_stream()
                .boxed();
        };
        let answers = self.requests.stream(request);
        let held = answers.map(move |answer| {
            let _place = &place;
            answer
        });
        held.boxed()
    }
}

/// How many messages a client may still send.
#[derive(Debug)]
struct Budget {
    since: Instant,
    left: u32,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            since: now,
            left: MAX_MESSAGES,
        }
    }

    /// Takes a message; false if there were too many.
    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= MESSAGE_WINDOW {
            *self = Self::new(now);
        }
        let enough = self.left > 0;
        self.left = self.left.saturating_sub(1);
        enough
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_bounded_in_each_window() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        assert!((0..MAX_MESSAGES).all(|_| budget.take(start)));
        assert!(!budget.take(start + MESSAGE_WINDOW / 2));
        assert!(budget.take(start + MESSAGE_WINDOW));
    }

    #[test]
    fn the_token_is_found_in_any_spelling_of_its_key() {
        for (payload, expected) in [
            (json!({"Authorization": "Bearer x"}), Some("Bearer x")),
            (json!({"authorization": "Bearer x"}), Some("Bearer x")),
            (json!({"Authorization": 1}), None),
            (json!({"token": "x"}), None),
            (json!("Bearer x"), None),
        ] {
            assert_eq!(authorization(&payload), expected, "{payload}");
        }
    }
}
