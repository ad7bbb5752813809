use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use lockstep_bus::Bus;
use lockstep_http::{
    ConcurrencyLimiter, ProblemResponse, Readiness, ServeLimits, admit, unknown_path, with_metrics,
};
use lockstep_telemetry::Scrape;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::away;
use lockstep_store::Schema;

/// How many may ask at once.
const PROBE_LIMIT: usize = 64;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long requests under way may go on after the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The HTTP server of a worker: `/healthz`, `/readyz` and `/metrics`, nothing else.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Takes and publishes the worker's messages.
    pub bus: Arc<dyn Bus>,
    /// Keeps what the worker remembers.
    pub schema: Arc<dyn Schema>,
    /// Shows metrics.
    pub scrape: Scrape,
    /// Whether the worker was told to stop.
    pub stop: CancellationToken,
}

impl Listener {
    /// The routes.
    pub fn router(&self) -> Router {
        let keeper = ConcurrencyLimiter::new("worker", PROBE_LIMIT, TIMEOUT);
        let router = Router::new()
            .route("/healthz", get(async || Readiness::alive()))
            .route("/readyz", get(ready));
        with_metrics(router, Some(self.scrape.clone()))
            .fallback(unknown_path)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(keeper, admit))
            .with_state(Arc::new(self.clone()))
    }

    /// Answers until `end` is cancelled: later than the worker's own stop, so that it can be seen how it ends its work.
    pub async fn serve(self, listener: TcpListener, end: CancellationToken) {
        let limits = ServeLimits {
            header_read: TIMEOUT,
            connections: 4 * PROBE_LIMIT,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        };
        lockstep_http::serve(listener, self.router(), limits, end).await;
    }
}

/// The store answers, the broker gives and takes messages, and the worker was not told to stop.
async fn ready(State(listener): State<Arc<Listener>>) -> Readiness {
    let mut away = away(&*listener.bus, &*listener.schema).await;
    if listener.stop.is_cancelled() {
        away.push("worker");
    }
    Readiness::unless(away)
}

async fn wrong_method(method: Method, uri: Uri) -> ProblemResponse {
    lockstep_http::wrong_method(&method, uri.path(), "GET, HEAD")
}
