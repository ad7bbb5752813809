//! The HTTP gateway: publishes the webhooks of forges and the events of services to the bus.
//!
//! - `POST /webhooks/{github,gitlab,gitea,forgejo,bitbucket}/{repository}` accepts the webhooks of forges. The path selects
//!   repository and secret; the payload has no influence on that. Each branch of a push becomes one
//!   `lockstep.repository.changed`. Other authenticated webhooks are ignored: the response is 202 with the reason.
//! - `POST /v1/events` accepts events, not commands, by the CloudEvents HTTP binding, with a bearer token.
//! - `GET /healthz`, `/readyz`, `/metrics` and `/openapi.json` need no token.
//!
//! The response 202 means that the broker confirmed the messages. The id of a message is derived from forge, repository and
//! delivery, and its content from the payload, so that a redelivered webhook is the same message and has its effect once.
//!
//! Webhooks are interpreted by pure functions, in one file for each forge; `webhook_decision` combines them.

mod bitbucket;
mod body_limiter;
mod change;
mod events;
mod forge;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod headers;
mod health;
mod openapi;
mod payload;
mod rejection;
mod repositories;
mod secrets;
mod webhook_decision;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing};
use lockstep_http::{
    ConcurrencyLimiter, KnowsTokens, ProblemResponse, ServeLimits, Tokens, admit, confirmed, unknown_path,
    with_metrics,
};
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use forge::Forge;
pub use openapi::document as openapi;
pub use repositories::Repositories;
pub use secrets::Secrets;

use crate::pipeline::Pipeline;
use body_limiter::BodyLimiter;

/// The most concurrent requests to the routes for probes, metrics and the OpenAPI document. They have their own limit, so
/// that they respond under load.
const PROBE_LIMIT: usize = 64;

/// The dependencies of the gateway.
#[derive(Clone, Debug)]
pub struct GatewayContext {
    /// The bus to publish to.
    pub bus: Arc<dyn Bus>,
    /// The repositories whose webhooks are accepted, with their secrets.
    pub repositories: Repositories,
    /// The tokens for `/v1/events`.
    pub tokens: Tokens,
    /// Returns the current time.
    pub now: fn() -> Timestamp,
}

/// The limits and timeouts of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// The largest body of a webhook, in bytes. GitHub sends at most 25 MiB.
    pub body_bytes: usize,
    /// The most bytes of all bodies in memory together; at least `body_bytes` applies.
    pub held_bytes: usize,
    /// The most concurrent requests.
    pub requests: usize,
    /// The most open connections.
    pub connections: usize,
    /// How long the headers of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long the broker may take to confirm. GitHub waits ten seconds for the response.
    pub publish_timeout: Duration,
    /// How long a request may take in total.
    pub request_timeout: Duration,
    /// How long running requests may continue after the gateway is stopped.
    pub shutdown_timeout: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            body_bytes: 25 * 1024 * 1024,
            held_bytes: 256 * 1024 * 1024,
            requests: 256,
            connections: 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            publish_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// The configured gateway.
#[derive(Clone, Debug)]
pub struct Gateway {
    context: GatewayContext,
    limits: GatewayLimits,
    scrape: Option<Scrape>,
}

/// The state that all requests share.
#[derive(Debug)]
struct Shared {
    context: GatewayContext,
    limits: GatewayLimits,
    pipeline: Pipeline,
    body_limiter: BodyLimiter,
    stop: CancellationToken,
}

impl Gateway {
    /// Creates a gateway with the default limits.
    pub fn new(context: GatewayContext) -> Self {
        Self::with_limits(context, GatewayLimits::default())
    }

    /// Creates a gateway with these limits.
    pub fn with_limits(context: GatewayContext, limits: GatewayLimits) -> Self {
        Self {
            context,
            limits,
            scrape: None,
        }
    }

    /// Adds the route `/metrics`.
    #[must_use]
    pub fn with_metrics(self, scrape: Scrape) -> Self {
        Self {
            scrape: Some(scrape),
            ..self
        }
    }

    /// The routes. After `stop` is cancelled, `/readyz` reports not ready. Must be called within a Tokio runtime.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let limits = self.limits;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            pipeline: Pipeline::start(self.context.bus.clone(), limits.requests),
            body_limiter: BodyLimiter::new(limits.held_bytes.max(limits.body_bytes), limits.body_timeout),
            stop,
        });
        let publish_limiter = ConcurrencyLimiter::new("gateway", limits.requests, limits.request_timeout);
        let probe_limiter = ConcurrencyLimiter::new("gateway", PROBE_LIMIT, limits.request_timeout);
        let webhooks = Router::new()
            .route("/webhooks/{forge}/{repository}", post(webhooks::receive))
            .layer(DefaultBodyLimit::max(limits.body_bytes));
        let events = Router::new()
            .route("/v1/events", post(events::publish))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
        let publish_routes = webhooks
            .merge(events)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(publish_limiter, admit));
        let probe_routes = Router::new()
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/openapi.json", get(openapi::serve));
        let probe_routes = with_metrics(probe_routes, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(probe_limiter, admit));
        publish_routes.merge(probe_routes).with_state(shared)
    }

    /// Serves requests until `stop` is cancelled; running requests may then continue for the shutdown timeout.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let limits = ServeLimits {
            header_read: self.limits.header_timeout,
            connections: self.limits.connections,
            shutdown_timeout: self.limits.shutdown_timeout,
        };
        lockstep_http::serve(listener, self.router(stop.clone()), limits, stop).await;
    }
}

impl KnowsTokens for Shared {
    fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }
}

impl Shared {
    /// Publishes the messages in order, and returns when the broker has confirmed each.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), ProblemResponse> {
        let each = messages.into_iter().map(|message| self.pipeline.publish(message));
        let all = futures_util::future::try_join_all(each);
        confirmed(self.limits.publish_timeout, async { all.await.map(drop) }).await
    }
}

/// The path exists, but not for this method.
async fn method_not_allowed(method: Method, uri: Uri) -> ProblemResponse {
    let allowed = match uri.path() {
        "/healthz" | "/readyz" | "/metrics" | "/openapi.json" => "GET, HEAD",
        _ => "POST",
    };
    lockstep_http::wrong_method(&method, uri.path(), allowed)
}
