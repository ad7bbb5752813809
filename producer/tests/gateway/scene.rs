//! A gateway on a bus that does as it is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use lockstep_bus::{Bus, BusError, BusStatus, ConsumeOptions, Consumer, Outgoing, PublishError};
use lockstep_http::{Token, Tokens};
use lockstep_producer::gateway::{Gateway, GatewayContext, GatewayLimits, Repositories, Secrets};
use lockstep_protocol::topology::{Queue, Topology};
use lockstep_telemetry::{Exposition, Sample, Sampler, Scrape};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const SECRET: &str = "s3cret";
pub(crate) const PUSH: &str = include_str!("../payloads/github-push.json");

/// Tells nothing of how things are.
#[derive(Debug)]
struct Nothing;

#[async_trait]
impl Sampler for Nothing {
    async fn sample(&self) -> Sample {
        Sample::default()
    }
}

/// What the bus does with messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mood {
    #[default]
    Confirms,
    Full,
    Denies,
    /// Confirms nothing, as long as this lasts.
    Away,
    Closed,
}

/// Remembers what was published.
#[derive(Debug, Default)]
pub(crate) struct FakeBus {
    mood: Mutex<Mood>,
    changed: Notify,
    published: Mutex<Vec<Outgoing>>,
    /// Somebody waits for a confirm.
    pub(crate) asked: Notify,
}

impl FakeBus {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().expect("nobody panics holding it") = mood;
        self.changed.notify_waiters();
    }

    pub(crate) fn published(&self) -> Vec<Outgoing> {
        self.published.lock().expect("nobody panics holding it").clone()
    }
}

#[async_trait]
impl Bus for FakeBus {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.asked.notify_one();
        loop {
            let changed = self.changed.notified();
            let mood = *self.mood.lock().expect("nobody panics holding it");
            match mood {
                Mood::Confirms => {
                    self.published
                        .lock()
                        .expect("nobody panics holding it")
                        .extend(messages);
                    return Ok(());
                }
                Mood::Full => {
                    return Err(PublishError::Full {
                        exchange: "lockstep.events".to_owned(),
                        count: messages.len(),
                    });
                }
                Mood::Denies => {
                    return Err(PublishError::Denied {
                        exchange: "lockstep.events".to_owned(),
                        routing_key: "hush".to_owned(),
                        reason: "ACCESS_REFUSED".to_owned(),
                    });
                }
                Mood::Closed => return Err(PublishError::Closed),
                Mood::Away => changed.await,
            }
        }
    }

    async fn consume(&self, _queue: Queue, _options: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        Err(BusError::Closed)
    }

    async fn declare(&self, _topology: &Topology) -> Result<(), BusError> {
        Ok(())
    }

    fn status(&self) -> BusStatus {
        match *self.mood.lock().expect("nobody panics holding it") {
            Mood::Away => BusStatus::Blocked,
            Mood::Closed => BusStatus::Closed,
            Mood::Confirms | Mood::Full | Mood::Denies => BusStatus::Connected,
        }
    }

    fn user(&self) -> &'static str {
        "fake"
    }

    async fn close(&self) {}
}

/// 2026-03-01T12:00:00Z, always.
fn now() -> Timestamp {
    Timestamp::from_second(1_772_366_400).expect("it is in range")
}

/// A gateway's context on this bus: `settings` has a secret, `templates` has none.
pub(crate) fn context(bus: Arc<dyn Bus>) -> GatewayContext {
    let secrets = |all: &[&str]| -> Secrets { all.iter().map(|secret| (*secret).into()).collect() };
    let repository =
        |name: &str, all: &[&str]| (name.to_owned().try_into().expect("it is a name"), secrets(all));
    let repositories: Repositories = [repository("settings", &[SECRET]), repository("templates", &[])]
        .into_iter()
        .collect();
    let token = |name: &str, secret: &str, pattern: &str| {
        Token::new(
            name,
            &secret.into(),
            vec![pattern.parse().expect("it is a pattern")],
        )
    };
    let tokens: Tokens = [
        token("netbox", "all", "*"),
        token("ztp", "some", "lockstep.device.*"),
    ]
    .into_iter()
    .collect();
    GatewayContext {
        bus,
        repositories,
        tokens,
        now,
    }
}

pub(crate) struct Scene {
    pub(crate) bus: Arc<FakeBus>,
    pub(crate) stop: CancellationToken,
    pub(crate) router: Router,
}

pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(GatewayLimits::default())
    }

    pub(crate) fn with(limits: GatewayLimits) -> Self {
        let bus = Arc::new(FakeBus::default());
        let stop = CancellationToken::new();
        let scrape = Scrape::new(Exposition::begin("test"), Arc::new(Nothing));
        let gateway = Gateway::with_limits(context(bus.clone()), limits).with_metrics(scrape);
        let router = gateway.router(stop.clone());
        Self { bus, stop, router }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        send(&self.router, request).await
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answered {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.expect("answers are whole");
    Answered {
        status: parts.status,
        headers: parts.headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    }
}

impl Answered {
    /// The problem's status and code, after its shape was checked: nothing secret in it, and when to come back.
    pub(crate) fn problem(&self) -> (u16, &str) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], self.status.as_u16());
        let told = self.body.to_string();
        assert!(!told.contains(SECRET) && !told.contains("hush"), "{told}");
        let passes = matches!(self.status.as_u16(), 429 | 503);
        assert_eq!(self.headers.contains_key("retry-after"), passes, "{told}");
        let kind = self.body["type"].as_str().expect("a problem has a type");
        let code = kind
            .strip_prefix("urn:lockstep:problem:")
            .expect("types are ours");
        (self.status.as_u16(), code)
    }
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys have any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// A push of GitHub, signed, its body still to come.
pub(crate) fn github(path: &str, body: &[u8]) -> Builder {
    Request::post(path)
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature", format!("sha1={}", "0".repeat(40)))
        .header("x-hub-signature-256", signature(SECRET, body))
}

/// The same with its body.
pub(crate) fn push(body: &str) -> Request<Body> {
    github("/webhooks/github/settings", body.as_bytes())
        .body(Body::from(body.to_owned()))
        .expect("it is well formed")
}
