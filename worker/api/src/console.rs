//! The HTTP API: publishes what operators and services send, and shows what the store knows.
//!
//! - [`Tokens`](lockstep_http::Tokens) say who may do what; without one, nobody may do anything.
//! - `POST /v1/events` takes events and commands by the CloudEvents HTTP binding, and answers 202 only after the broker
//!   confirmed them. What becomes of them is asked for at `GET /v1/messages`.
//! - `GET /v1/devices` and `GET /v1/devices/{hostname}` show the fleet, `GET /v1/repositories` what it should have.
//! - `GET /v1/dead` and `GET /v1/dead/{number}` show what could not be worked, `GET /v1/dead/counts` how much of what.
//! - `GET /healthz`, `GET /readyz` and `GET /metrics` are for load balancers and monitoring, and need no token.
//!
//! It keeps nothing of its own and writes nothing to the store: only workers write domain state. Every error is a
//! problem (RFC 9457) with a stable code.

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

/// How many health checks and scrapes there may be at once, whatever else goes on.
const PROBE_LIMIT: usize = 64;

/// What the console needs.
#[derive(Clone, Debug)]
pub struct ConsoleContext {
    /// Publishes.
    pub bus: Arc<dyn Bus>,
    /// Tells what became of messages.
    pub inbox: Arc<dyn Inbox>,
    /// Tells about devices.
    pub fleet: Arc<dyn Fleet>,
    /// Tells about repositories.
    pub repositories: Arc<dyn Repositories>,
    /// Tells about dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// Tells whether the store can be used.
    pub schema: Arc<dyn Schema>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who may do what.
    pub tokens: Tokens,
}

/// How long and how much the console bears.
#[derive(Clone, Copy, Debug)]
pub struct ConsoleLimits {
    /// How long the broker may take to confirm.
    pub publish_timeout: Duration,
    /// How long any request may take that does not ask to wait.
    pub request_timeout: Duration,
    /// The longest a request may ask to wait.
    pub longest_wait: Duration,
    /// How many requests are worked at once, less those that wait.
    pub requests: usize,
    /// How many requests wait for an outcome at once.
    pub waiting: usize,
    /// How long requests under way may go on after the console was told to stop.
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

/// What every request sees.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) context: ConsoleContext,
    pub(crate) limits: ConsoleLimits,
    pub(crate) stop: CancellationToken,
}

impl Console {
    /// A console with the usual limits.
    pub fn new(context: ConsoleContext) -> Self {
        Self::with_limits(context, ConsoleLimits::default())
    }

    /// A console with other limits.
    pub fn with_limits(context: ConsoleContext, limits: ConsoleLimits) -> Self {
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

    /// The routes. Requests that wait end when `stop` is cancelled.
    pub fn router(&self, stop: CancellationToken) -> Router {
        let limits = self.limits;
        let shared = Arc::new(Shared {
            context: self.context.clone(),
            limits,
            stop,
        });
        let work = ConcurrencyLimiter::new("console", limits.requests, limits.request_timeout);
        let wait = ConcurrencyLimiter::new(
            "console",
            limits.waiting,
            limits.longest_wait + limits.request_timeout,
        );

        let look = ConcurrencyLimiter::new("console", PROBE_LIMIT, limits.request_timeout);

        let working = Router::new()
            .route("/v1/events", post(events::publish))
            .route("/v1/devices", get(devices::list))
            .route("/v1/devices/{hostname}", get(devices::show))
            .route("/v1/dead", get(dead_letters::list))
            .route("/v1/dead/counts", get(dead_letters::counts))
            .route("/v1/dead/{number}", get(dead_letters::show))
            .route("/v1/repositories", get(repositories::list))
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(work, admit));
        let looking = Router::new()
            .route("/healthz", get(probes::alive))
            .route("/readyz", get(probes::ready));
        let looking = with_metrics(looking, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(look, admit));
        let waiting = Router::new()
            .route("/v1/messages", get(messages::outcome))
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(wait, admit));
        working
            .merge(waiting)
            .merge(looking)
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(shared)
    }

    /// Answers requests until `stop` is cancelled; those under way then have a few seconds to end.
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
