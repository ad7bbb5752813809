mod access;
mod audit;
mod dead_letters;
pub(crate) mod executions;
mod explanations;
mod fleet_history;
mod graphql;
mod graphql_reading;
mod groups;
mod login;
mod oidc;
mod openapi;
mod publishing;
mod reading;
mod stages;
mod sync_devices;
mod tasks;
mod tokens;
mod web;

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use lockstep_bus::Outgoing;
use lockstep_http::{Token, Tokens};
use lockstep_protocol::results::{EventApplied, Outcome, Scope};
use lockstep_protocol::{Digest, EncodedResult, Identity, Role, WorkResult};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::{Console, ConsoleContext, ConsoleLimits};
use crate::fakes::{FakeBus, FakeProviders, FakeStore, FakeSyncRules, FixedClock};
use crate::{AccessOptions, OidcOptions};
use lockstep_store::{InboxRow, InboxState};

const STRUCTURED: &str = "application/cloudevents+json";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

struct Scene {
    bus: Arc<FakeBus>,
    store: Arc<FakeStore>,
    stop: CancellationToken,
    router: Router,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    /// Null if it is no JSON.
    body: Value,
    text: String,
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
            token("root", "all", "*").with_role(Role::Admin),
            token("ztp", "some", "lockstep.device.*"),
            token("events", "few", "lockstep.interface.*"),
        ]
        .into_iter()
        .collect()
    } else {
        Tokens::default()
    };
    let context = context(&bus, &store, tokens);
    let stop = CancellationToken::new();
    let router = Console::with_limits(context, limits).router(stop.clone());
    Scene {
        bus,
        store,
        stop,
        router,
    }
}

fn context(bus: &Arc<FakeBus>, store: &Arc<FakeStore>, tokens: Tokens) -> ConsoleContext {
    ConsoleContext {
        bus: bus.clone(),
        inbox: store.clone(),
        messages: store.clone(),
        fleet: store.clone(),
        fleet_trend: store.clone(),
        repositories: store.clone(),
        dead_letters: store.clone(),
        tasks: store.clone(),
        executions: store.clone(),
        entities: store.clone(),
        cycle: store.clone(),
        providers: Arc::new(FakeProviders),
        syncs: store.clone(),
        sync_rules: Arc::new(FakeSyncRules),
        access_tokens: store.clone(),
        login_sessions: store.clone(),
        oidc_logins: store.clone(),
        oidc: None,
        audit: store.clone(),
        access: AccessOptions::default(),
        schema: store.clone(),
        clock: Arc::new(FixedClock),
        tokens,
    }
}

impl Scene {
    /// The same store and bus, with other tokens.
    fn with_tokens(self, tokens: impl IntoIterator<Item = Token>) -> Self {
        let context = context(&self.bus, &self.store, tokens.into_iter().collect());
        let router = Console::new(context).router(self.stop.clone());
        Self { router, ..self }
    }

    /// The same store and bus, with other tokens and an identity provider.
    fn with_provider(self, tokens: impl IntoIterator<Item = Token>, oidc: Option<OidcOptions>) -> Self {
        let context = ConsoleContext {
            oidc,
            ..context(&self.bus, &self.store, tokens.into_iter().collect())
        };
        let router = Console::new(context).router(self.stop.clone());
        Self { router, ..self }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.get_as("all", path).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.send(request("GET", path, token).body(Body::empty()).unwrap())
            .await
    }

    async fn post(&self, token: &str, event: &Value) -> Answer {
        let request = request("POST", "/v1/events", token).header("content-type", STRUCTURED);
        self.send(request.body(Body::from(event.to_string())).unwrap())
            .await
    }

    fn published(&self) -> Vec<Outgoing> {
        self.bus.published()
    }

    fn only_published(&self) -> Value {
        let published = self.published();
        assert_eq!(published.len(), 1);
        serde_json::from_slice(&published[0].body).unwrap()
    }
}

impl Answer {
    /// The status and the code of a problem. Checks the rest of its shape.
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
        redrive_count: 0,
        kind: "lockstep.device.removed".into(),
        digest: Digest::of_bytes(b""),
        state: InboxState::Applied,
        at: "2026-02-03T04:05:06Z".parse().unwrap(),
        actor: Some("ztp".into()),
        subject: None,
        result: EncodedResult::new(WorkResult::EventApplied(EventApplied {
            outcome: Outcome::Applied,
            reason: None,
            scope: Scope::Device,
            flipped: 0,
            devices: vec!["sw1".parse().unwrap()],
            truncated: false,
            unknown_hostnames: Vec::new(),
            commit: None,
            rejected: Vec::new(),
            marked: Vec::new(),
            warnings: Vec::new(),
        })),
        follow_ups: false,
        trace_id: None,
    }
}

fn identity(id: &str) -> Identity {
    serde_json::from_value(json!({"source": "urn:test", "id": id})).unwrap()
}
