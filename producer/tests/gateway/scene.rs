//! A gateway on a fake bus, and functions to send requests to it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use lockstep_bus::Bus;
use lockstep_bus::fake::FakeBus;
use lockstep_dcim::{MappingRules, System};
use lockstep_http::{Token, Tokens, TrustedProxies};
use lockstep_producer::gateway::{
    Gateway, GatewayContext, GatewayLimits, InventorySource, InventorySources, Repositories, Secrets,
};
use lockstep_protocol::DeviceType;
use lockstep_telemetry::{Exposition, Sample, Sampler, Scrape};
use serde_json::Value;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

pub(crate) const SECRET: &str = "s3cret";
pub(crate) const PUSH: &str = include_str!("../payloads/github-push.json");

/// A sampler without values.
#[derive(Debug)]
struct EmptySampler;

#[async_trait]
impl Sampler for EmptySampler {
    async fn sample(&self) -> Sample {
        Sample::default()
    }
}

/// The fixed current time: 2026-03-01T12:00:00Z.
fn now() -> Timestamp {
    Timestamp::from_second(1_772_366_400).expect("it is in range")
}

/// The context of a gateway on this bus. The repository `settings` has a secret, `templates` has none.
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
        sources: sources(),
        tokens,
        proxies: TrustedProxies::default(),
        now,
    }
}

/// A NetBox and a Nautobot whose access switches are known, and one without a secret.
fn sources() -> InventorySources {
    let source = |name: &str, system: System, secret: &str| InventorySource {
        system,
        secrets: [secret.into()].into_iter().collect(),
        rules: MappingRules {
            default_type: Some(DeviceType::ACCESS),
            ..MappingRules::of_source(name)
        },
        max_age: Duration::from_mins(5),
    };
    [
        source("main", System::NetBox, SECRET),
        source("lab", System::NetBox, "the secret of the lab"),
        source("open", System::NetBox, ""),
        source("campus", System::Nautobot, SECRET),
    ]
    .into_iter()
    .collect()
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
        let scrape = Scrape::new(Exposition::begin("test"), Arc::new(EmptySampler));
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
    /// Status and code of the problem. Also checks that it contains no secrets, and has `Retry-After` if it is temporary.
    pub(crate) fn problem(&self) -> (u16, &str) {
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{}",
            self.body
        );
        assert_eq!(self.body["status"], self.status.as_u16());
        let body = self.body.to_string();
        assert!(
            !body.contains(SECRET) && !body.contains(FakeBus::SECRET),
            "{body}"
        );
        let temporary = matches!(self.status.as_u16(), 429 | 503);
        assert_eq!(self.headers.contains_key("retry-after"), temporary, "{body}");
        let kind = self.body["type"].as_str().expect("a problem has a type");
        let code = kind
            .strip_prefix("urn:lockstep:problem:")
            .expect("the type has the prefix of Lockstep");
        (self.status.as_u16(), code)
    }
}

pub(crate) fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("keys have any length");
    mac.update(body);
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// The headers of a signed push from GitHub; the caller adds the body.
pub(crate) fn github(path: &str, body: &[u8]) -> Builder {
    Request::post(path)
        .header("content-type", "application/json")
        .header("x-github-event", "push")
        .header("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958")
        .header("x-hub-signature", format!("sha1={}", "0".repeat(40)))
        .header("x-hub-signature-256", signature(SECRET, body))
}

/// A signed push from GitHub.
pub(crate) fn push(body: &str) -> Request<Body> {
    github("/webhooks/github/settings", body.as_bytes())
        .body(Body::from(body.to_owned()))
        .expect("the request is well formed")
}
