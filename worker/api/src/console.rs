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

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use lockstep_http::{
    BodyLimiter, ConcurrencyLimiter, ServeLimits, admit, routes, unknown_path, with_metrics,
};
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::context::{ConsoleContext, ConsoleLimits, Shared};
use crate::probes;
use crate::rest::{dead_letters, devices, events, messages, problem, repositories};

/// The label of this server in metrics.
const SERVER: &str = "console";
/// Health checks and scrapes in flight at once. They have a limit of their own, so that other requests never block them.
const PROBE_LIMIT: usize = 64;

/// The HTTP API, ready to be served.
#[derive(Clone, Debug)]
pub struct Console {
    context: ConsoleContext,
    limits: ConsoleLimits,
    scrape: Option<Scrape>,
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
            bodies: BodyLimiter::new(limits.held_bytes, limits.body_timeout),
            stop,
        });
        let request_limiter = ConcurrencyLimiter::new(SERVER, limits.requests, limits.request_timeout);
        let outcome_limiter = ConcurrencyLimiter::new(
            SERVER,
            limits.waiting,
            limits.longest_wait + limits.request_timeout,
        );
        let probe_limiter = ConcurrencyLimiter::new(SERVER, PROBE_LIMIT, limits.request_timeout);
        let time_limiter = ConcurrencyLimiter::of_duration(SERVER, limits.request_timeout);

        let resources = [
            ("/v1/events", post(events::publish)),
            ("/v1/devices", get(devices::list)),
            ("/v1/devices/{hostname}", get(devices::show)),
            ("/v1/dead", get(dead_letters::list)),
            ("/v1/dead/counts", get(dead_letters::counts)),
            ("/v1/dead/{number}", get(dead_letters::show)),
            ("/v1/repositories", get(repositories::list)),
        ];
        let resources = routes(SERVER, resources)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(request_limiter, admit));
        // Without a place: liveness is answered whatever else is asked for.
        let alive = routes(SERVER, [("/healthz", get(probes::alive))])
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(time_limiter, admit));
        let probes = routes(SERVER, [("/readyz", get(probes::ready))]);
        let probes = with_metrics(SERVER, probes, self.scrape.clone())
            .fallback(unknown_path)
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(probe_limiter, admit));
        let outcomes = routes(SERVER, [("/v1/messages", get(messages::outcome))])
            .method_not_allowed_fallback(problem::wrong_method)
            .layer(from_fn_with_state(outcome_limiter, admit));
        resources
            .merge(outcomes)
            .merge(alive)
            .merge(probes)
            .with_state(shared)
    }

    /// Serves until `stop` is cancelled. Requests in flight may then continue for [`ConsoleLimits::shutdown_timeout`].
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let limits = ServeLimits {
            connections: self.limits.connections,
            connections_per_address: self.limits.connections_per_address,
            shutdown_timeout: self.limits.shutdown_timeout,
            ..ServeLimits::default()
        };
        lockstep_http::serve(SERVER, listener, self.router(stop.clone()), limits, stop).await;
    }
}

#[cfg(test)]
mod tests;
