use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use lockstep_bus::Bus;
use lockstep_http::{
    ConcurrencyLimiter, ProblemResponse, Readiness, ServeLimits, admit, routes, unknown_path, with_metrics,
};
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::unavailable;
use lockstep_store::Schema;

/// The label of this server in metrics.
const SERVER: &str = "worker";
/// Requests in flight at once; more are answered 429.
const PROBE_LIMIT: usize = 64;
/// The most time for one request, and for its header to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests in flight may continue after the listener was stopped.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The HTTP server of a worker: `/healthz`, `/readyz` and `/metrics`, nothing else.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The worker's bus: not ready while it neither consumes nor publishes.
    pub bus: Arc<dyn Bus>,
    /// The worker's store: not ready while it does not answer a ping.
    pub schema: Arc<dyn Schema>,
    /// Renders `/metrics`.
    pub scrape: Scrape,
    /// Cancelled when the worker begins to stop: it is not ready from then on.
    pub stop: CancellationToken,
}

impl Listener {
    /// The most open connections.
    pub const CONNECTIONS: usize = 4 * PROBE_LIMIT;

    /// The routes.
    pub fn router(&self) -> Router {
        let limiter = ConcurrencyLimiter::new(SERVER, PROBE_LIMIT, TIMEOUT);
        // Without a place: liveness is answered whatever else is asked for.
        let alive = routes(SERVER, [("/healthz", get(async || Readiness::alive()))])
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(
                ConcurrencyLimiter::of_duration(SERVER, TIMEOUT),
                admit,
            ));
        let router = routes(SERVER, [("/readyz", get(ready))]);
        with_metrics(SERVER, router, Some(self.scrape.clone()))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(limiter, admit))
            .merge(alive)
            .with_state(Arc::new(self.clone()))
    }

    /// Serves until `end` is cancelled. Cancel it after the worker has stopped, so that its shutdown can be observed.
    pub async fn serve(self, listener: TcpListener, end: CancellationToken) {
        let limits = ServeLimits {
            header_read: TIMEOUT,
            connections: Self::CONNECTIONS,
            connections_per_address: Self::CONNECTIONS,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
            ..ServeLimits::default()
        };
        lockstep_http::serve(SERVER, listener, self.router(), limits, end).await;
    }
}

/// Answers 200 while the store answers, the broker delivers and takes messages, and the worker is not stopping.
async fn ready(State(listener): State<Arc<Listener>>) -> Readiness {
    let mut unavailable = unavailable(&*listener.bus, &*listener.schema).await;
    if listener.stop.is_cancelled() {
        unavailable.push("worker");
    }
    Readiness::unless(unavailable)
}

async fn wrong_method(method: Method, uri: Uri) -> ProblemResponse {
    lockstep_http::wrong_method(&method, uri.path(), "GET, HEAD")
}
