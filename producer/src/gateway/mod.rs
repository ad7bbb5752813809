//! The HTTP gateway: what forges and services send becomes events on the bus.
//!
//! - `POST /webhooks/{github,gitlab,gitea,forgejo,bitbucket}/{repository}` takes the webhooks of forges. Repository and
//!   secret are chosen by the path, never by the payload. A push becomes one `lockstep.repository.changed` for each
//!   branch; anything else that is authentic is answered 202 with the reason why it is ignored.
//! - `POST /v1/events` takes events (never commands) by the CloudEvents HTTP binding, with a bearer token.
//! - `GET /healthz`, `/readyz`, `/metrics` and `/openapi.json` need no token.
//!
//! 202 means that the broker confirmed. The id of a message is derived from forge, repository and delivery, and its
//! content from the payload alone, so that a redelivered webhook is the same message, which counts once.
//!
//! What a webhook means is decided by pure functions, one file a forge; `webhook_decision` puts them together.

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
use body_limiter::Inflow;

/// How many health checks and readers of the document there may be at once, whatever else goes on.
const PROBE_LIMIT: usize = 64;

/// What the gateway needs.
#[derive(Clone, Debug)]
pub struct GatewayContext {
    /// Publishes.
    pub bus: Arc<dyn Bus>,
    /// Whose webhooks are taken.
    pub repositories: Repositories,
    /// Who may publish at `/v1/events`.
    pub tokens: Tokens,
    /// Tells the time.
    pub now: fn() -> Timestamp,
}

/// How long and how much the gateway bears.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// The largest body of a webhook, in bytes. GitHub sends at most 25 MiB.
    pub body_bytes: usize,
    /// How many bytes of bodies are held at once; never less than one body.
    pub held_bytes: usize,
    /// How many requests are worked at once.
    pub requests: usize,
    /// How many connections there are at once.
    pub connections: usize,
    /// How long the headers of a request may take.
    pub header_timeout: Duration,
    /// How long the body of a request may take.
    pub body_timeout: Duration,
    /// How long the broker may take to confirm. GitHub waits ten seconds for the answer.
    pub publish_timeout: Duration,
    /// How long any request may take.
    pub request_timeout: Duration,
    /// How long requests under way may go on after the gateway was told to stop.
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

/// The gateway, ready to be served.
#[derive(Clone, Debug)]
pub struct Gateway {
    context: GatewayContext,
    limits: GatewayLimits,
    scrape: Option<Scrape>,
}

/// What every request sees.
#[derive(Debug)]
struct Shared {
    context: GatewayContext,
    limits: GatewayLimits,
    pipeline: Pipeline,
    inflow: Inflow,
    stop: CancellationToken,
}

impl Gateway {
    /// A gateway with the usual limits.
    pub fn new(context: GatewayContext) -> Self {
        Self::with_limits(context, GatewayLimits::default())
    }

    /// A gateway with other limits.
    pub fn with_limits(context: GatewayContext, limits: GatewayLimits) -> Self {
        Self {
            context,
            limits,
            scrape: None,
        }
    }

    /// Shows this at `/metrics`.
    #[must_use]
    pub fn with_metrics(self, scrape: Scrape) -> Self {
        Self {
            scrape: Some(scrape),
            ..self
        }
    }

    /// The routes. `/readyz` says no from when `stop` is cancelled. To be called within a Tokio runtime.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let limits = self.limits;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            pipeline: Pipeline::start(self.context.bus.clone(), limits.requests),
            inflow: Inflow::new(limits.held_bytes.max(limits.body_bytes), limits.body_timeout),
            stop,
        });
        let work = ConcurrencyLimiter::new("gateway", limits.requests, limits.request_timeout);
        let look = ConcurrencyLimiter::new("gateway", PROBE_LIMIT, limits.request_timeout);
        let webhooks = Router::new()
            .route("/webhooks/{forge}/{repository}", post(webhooks::receive))
            .layer(DefaultBodyLimit::max(limits.body_bytes));
        let events = Router::new()
            .route("/v1/events", post(events::publish))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES));
        let working = webhooks
            .merge(events)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(work, admit));
        let looking = Router::new()
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/openapi.json", get(openapi::serve));
        let looking = with_metrics(looking, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(look, admit));
        working.merge(looking).with_state(shared)
    }

    /// Answers requests until `stop` is cancelled; those under way then have a few seconds to end.
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
    /// Publishes all of them, in order, and returns when the broker has each.
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), ProblemResponse> {
        let each = messages.into_iter().map(|message| self.pipeline.publish(message));
        let all = futures_util::future::try_join_all(each);
        confirmed(self.limits.publish_timeout, async { all.await.map(drop) }).await
    }
}

/// The path exists, for another method.
async fn wrong_method(method: Method, uri: Uri) -> ProblemResponse {
    let allowed = match uri.path() {
        "/healthz" | "/readyz" | "/metrics" | "/openapi.json" => "GET, HEAD",
        _ => "POST",
    };
    lockstep_http::wrong_method(&method, uri.path(), allowed)
}
