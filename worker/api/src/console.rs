//! Serves the HTTP API: publishes what operators and services send, and shows what is stored.
//!
//! - Every request under `/v1` needs one of the configured [`Tokens`](lockstep_http::Tokens), which limits the types of
//!   messages it may publish.
//! - `POST /v1/events` takes events and commands in the CloudEvents HTTP binding, and answers 202 only after the broker
//!   confirmed them. `GET /v1/messages` returns their outcomes.
//! - `GET /v1/devices` and `GET /v1/devices/{hostname}` show the fleet, `GET /v1/repositories` the accepted commits.
//! - `GET /v1/dead` and `GET /v1/dead/{number}` show dead letters, `GET /v1/dead/counts` counts them by lane, type and code.
//! - `GET /healthz`, `GET /readyz` and `GET /metrics` are for load balancers and monitoring, and need no token.
//!
//! The console has no state and never writes to the store: only workers write domain state. Every error is a problem
//! (RFC 9457) with a stable code.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use lockstep_bus::Bus;
use lockstep_http::{
    ConcurrencyLimiter, KnowsTokens, ServeLimits, Tokens, admit, unknown_path, with_metrics,
};
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::probes;
use crate::rest::{dead_letters, devices, events, messages, problem, repositories};

use lockstep_clock::Clock;
use lockstep_store::{DeadLetters, Fleet, Inbox, Repositories, Schema};

/// Health checks and scrapes in flight at once. They have a limit of their own, so that other requests never block them.
const PROBE_LIMIT: usize = 64;

/// The bus, the parts of the store and the tokens that the console uses.
#[derive(Clone, Debug)]
pub struct ConsoleContext {
    /// Publishes the messages of `POST /v1/events`.
    pub bus: Arc<dyn Bus>,
    /// Reads the outcomes of messages.
    pub inbox: Arc<dyn Inbox>,
    /// Reads devices.
    pub fleet: Arc<dyn Fleet>,
    /// Reads repositories.
    pub repositories: Arc<dyn Repositories>,
    /// Reads dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Pinged by `/readyz`.
    pub schema: Arc<dyn Schema>,
    /// Sets the AMQP timestamp of published messages.
    pub clock: Arc<dyn Clock>,
    /// Without a token, every request under `/v1` is answered 401.
    pub tokens: Tokens,
}

/// Timeouts and concurrency limits of the console.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleLimits {
    /// The most time for the broker to confirm; then 503.
    pub publish_timeout: Duration,
    /// The most time for a request; one for an outcome may take `longest_wait` more.
    pub request_timeout: Duration,
    /// The most time that a request may ask to wait for an outcome.
    pub longest_wait: Duration,
    /// Requests in flight at once, without those for outcomes; more are answered 429.
    pub requests: usize,
    /// Requests for outcomes in flight at once; more are answered 429.
    pub waiting: usize,
    /// How long requests in flight may continue after the console was stopped.
    pub shutdown_timeout: Duration,
}

impl Default for ConsoleLimits {
    fn default() -> Self {
        Self {
            publish_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            longest_wait: Duration::from_mins(1),
            requests: 256,
            waiting: 1024,
            shutdown_timeout: Duration::from_secs(10),
        }
    }
}

/// The HTTP API, ready to be served.
#[derive(Clone, Debug)]
pub struct Console {
    context: ConsoleContext,
    limits: ConsoleLimits,
    scrape: Option<Scrape>,
}

/// The state of all requests.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) context: ConsoleContext,
    pub(crate) limits: ConsoleLimits,
    pub(crate) stop: CancellationToken,
}

impl Console {
    /// A console with the default limits.
    pub fn new(context: ConsoleContext) -> Self {
        Self::with_limits(context, ConsoleLimits::default())
    }

    /// A console with these limits.
    pub fn with_limits(context: ConsoleContext, limits: ConsoleLimits) -> Self {
        Self {
            context,
            limits,
            scrape: None,
        }
    }

    /// Serves these metrics at `/metrics`; without them, that path is answered 404.
    #[must_use]
    pub fn with_metrics(self, scrape: Scrape) -> Self {
        Self {
            scrape: Some(scrape),
            ..self
        }
    }

    /// The routes. Requests that wait for an outcome are answered 503 when `stop` is cancelled.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let limits = self.limits;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            stop,
        });
        let request_limiter = ConcurrencyLimiter::new("console", limits.requests, limits.request_timeout);
        let outcome_limiter = ConcurrencyLimiter::new(
            "console",
            limits.waiting,
            limits.longest_wait + limits.request_timeout,
        );
        let probe_limiter = ConcurrencyLimiter::new("console", PROBE_LIMIT, limits.request_timeout);

        let resources = Router::new()
            .route("/v1/events", post(events::publish))
            .route("/v1/devices", get(devices::list))
            .route("/v1/devices/{hostname}", get(devices::show))
            .route("/v1/dead", get(dead_letters::list))
            .route("/v1/dead/counts", get(dead_letters::counts))
            .route("/v1/dead/{number}", get(dead_letters::show))
            .route("/v1/repositories", get(repositories::list))
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(request_limiter, admit));
        let probes = Router::new()
            .route("/healthz", get(probes::alive))
            .route("/readyz", get(probes::ready));
        let probes = with_metrics(probes, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(probe_limiter, admit));
        let outcomes = Router::new()
            .route("/v1/messages", get(messages::outcome))
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(outcome_limiter, admit));
        resources
            .merge(outcomes)
            .merge(probes)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(shared)
    }

    /// Serves until `stop` is cancelled. Requests in flight may then continue for [`ConsoleLimits::shutdown_timeout`].
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let limits = ServeLimits {
            shutdown_timeout: self.limits.shutdown_timeout,
            ..ServeLimits::default()
        };
        lockstep_http::serve(listener, self.router(stop.clone()), limits, stop).await;
    }
}

impl KnowsTokens for Shared {
    fn tokens(&self) -> &Tokens {
        &self.context.tokens
    }
}

#[cfg(test)]
mod tests;
