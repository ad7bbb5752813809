//! The HTTP gateway: publishes the webhooks of forges and the events of services to the bus.
//!
//! - `POST /webhooks/{github,gitlab,gitea,forgejo,bitbucket}/{repository}` accepts the webhooks of forges. The path selects
//!   repository and secret; the payload has no influence on that. Each branch of a push becomes one
//!   `lockstep.repository.changed`. Other authenticated webhooks are ignored: the response is 202 with the reason.
//! - `POST /webhooks/{netbox,nautobot}/{source}` accepts the webhooks of inventories. Each changed object becomes the events that the
//!   rules of the source map it to, or is ignored.
//! - `POST /v1/events` accepts events, not commands, by the CloudEvents HTTP binding, with a bearer token.
//! - `GET /healthz`, `/readyz`, `/metrics` and `/openapi.json` need no token.
//!
//! The response 202 means that the broker confirmed the messages. The id of a message is derived from forge, repository and
//! the digest of the body, and its content from the body, so that a body that is sent again is the same message and has its
//! effect once. Those of inventories derive from the change that they report, and the poll of the change log
//! makes the same ones.
//!
//! Webhooks are interpreted by pure functions, in one file for each forge; `webhook_decision` combines them.

mod bitbucket;
mod change;
mod commits;
mod events;
mod forge;
mod forgejo;
mod gitea;
mod github;
mod gitlab;
mod headers;
mod health;
mod inventory_decision;
mod inventory_webhooks;
mod nautobot;
mod netbox;
mod openapi;
mod payload;
mod rejection;
mod repositories;
mod secrets;
mod sources;
mod webhook_decision;
mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing};
use lockstep_dcim::System;
use lockstep_http::{
    BodyLimiter, ConcurrencyLimiter, KnowsTokens, LogLimiter, ProblemResponse, ServeLimits, Tokens,
    TrustedProxies, admit, confirmed, routes, unknown_path, with_metrics,
};
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

pub use forge::Forge;
pub use openapi::document as openapi;
pub use repositories::Repositories;
pub use secrets::Secrets;
pub use sources::{InventorySource, InventorySources};

use crate::pipeline::Pipeline;

/// The label of this server in metrics.
const SERVER: &str = "gateway";
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
    /// The instances of NetBox and Nautobot whose webhooks are accepted.
    pub sources: InventorySources,
    /// The tokens for `/v1/events`.
    pub tokens: Tokens,
    /// The proxies in front of the gateway.
    pub proxies: TrustedProxies,
    /// Returns the current time.
    pub now: fn() -> Timestamp,
}

/// The limits and timeouts of the gateway.
#[derive(Clone, Copy, Debug)]
pub struct GatewayLimits {
    /// The largest body of a webhook, in bytes. GitHub sends at most 25 MiB.
    pub body_bytes: usize,
    /// The most bytes of all bodies in memory together. A quarter is for events, whose senders are authenticated before the body
    /// is read; the rest is for webhooks. Each is never less than one body.
    pub held_bytes: usize,
    /// The most concurrent requests whose bodies have arrived.
    pub requests: usize,
    /// The most open connections.
    pub connections: usize,
    /// The most open connections of one address, unless it is a trusted proxy.
    pub connections_per_address: usize,
    /// How long the headers of a request may take to arrive.
    pub header_timeout: Duration,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// How long a client may take to receive a response.
    pub response_timeout: Duration,
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
            connections_per_address: 256,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(20),
            response_timeout: Duration::from_secs(10),
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
    /// The requests that are processed; those that are arriving cost only memory.
    places: Semaphore,
    webhook_bodies: BodyLimiter,
    event_bodies: BodyLimiter,
    refusals: LogLimiter,
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
        let for_events = limits.held_bytes / 4;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            pipeline: Pipeline::start(self.context.bus.clone(), limits.requests),
            places: Semaphore::new(limits.requests),
            webhook_bodies: BodyLimiter::new(
                (limits.held_bytes - for_events).max(limits.body_bytes),
                limits.body_timeout,
            ),
            event_bodies: BodyLimiter::new(for_events.max(MAX_BODY_BYTES), limits.body_timeout),
            refusals: LogLimiter::default(),
            stop,
        });
        let systems = System::ALL.map(System::as_str);
        let forges = Forge::ALL.map(Forge::as_str);
        lockstep_telemetry::http::begin_webhooks(forges.into_iter().chain(systems));
        let time_limiter = ConcurrencyLimiter::of_duration(SERVER, limits.request_timeout);
        let probe_limiter = ConcurrencyLimiter::new(SERVER, PROBE_LIMIT, limits.request_timeout);
        let publish_routes = [
            ("/webhooks/{forge}/{repository}", post(webhooks::receive)),
            ("/webhooks/netbox/{source}", post(inventory_webhooks::of_netbox)),
            (
                "/webhooks/nautobot/{source}",
                post(inventory_webhooks::of_nautobot),
            ),
            ("/v1/events", post(events::publish)),
        ];
        let publish_routes = routes(SERVER, publish_routes)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(time_limiter.clone(), admit));
        // Without a place: liveness is answered whatever else is asked for.
        let alive = routes(SERVER, [("/healthz", get(health::alive))])
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(time_limiter, admit));
        let probe_routes = [
            ("/readyz", get(health::ready)),
            ("/openapi.json", get(openapi::serve)),
        ];
        let probe_routes = with_metrics(SERVER, routes(SERVER, probe_routes), self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(probe_limiter, admit));
        publish_routes.merge(alive).merge(probe_routes).with_state(shared)
    }

    /// Serves requests until `stop` is cancelled; running requests may then continue for the shutdown timeout.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let limits = ServeLimits {
            header_read: self.limits.header_timeout,
            write: self.limits.response_timeout,
            connections: self.limits.connections,
            connections_per_address: self.limits.connections_per_address,
            proxies: self.context.proxies.clone(),
            shutdown_timeout: self.limits.shutdown_timeout,
            ..ServeLimits::default()
        };
        lockstep_http::serve(SERVER, listener, self.router(stop.clone()), limits, stop).await;
    }
}

impl KnowsTokens for Shared {
    const ACCEPTED: &'static str = "a token of `gateway.tokens` in the configuration, or the one for events that `lockstep up` prints; \
                                    tokens of the console are not accepted here";

    fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }
}

impl Shared {
    /// A place among the requests that are processed, for one whose body has arrived.
    fn place(&self) -> Result<SemaphorePermit<'_>, ProblemResponse> {
        self.places.try_acquire().map_err(|_| ProblemResponse::busy())
    }

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
