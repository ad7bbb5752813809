use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use lockstep_telemetry::{Span, within};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

use crate::ProblemResponse;
use crate::trace::told;

/// Routes that are asked for all the time and do nothing: no trace begins there.
const UNTRACED: [&str; 5] = ["", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Lets a bounded number of requests in, each for a bounded time, and logs, counts and traces how it ended.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimiter {
    server: &'static str,
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl ConcurrencyLimiter {
    /// So many requests at once, each for at most so long; `server` is what metrics call it.
    pub fn new(server: &'static str, places: usize, timeout: Duration) -> Self {
        Self {
            server,
            places: Arc::new(Semaphore::new(places)),
            timeout,
        }
    }
}

/// The middleware. The span names the path's template, never its query, and the token's name, never the token.
pub async fn admit(State(keeper): State<ConcurrencyLimiter>, request: Request, next: Next) -> Response {
    let template = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        http.method = %request.method(),
        http.route = template,
        actor = tracing::field::Empty,
    );
    let template = template.to_owned();
    let traced = !UNTRACED.contains(&template.as_str());
    let trace = traced
        .then(|| {
            Span::request(
                request.method().as_str(),
                &template,
                told(request.headers()).as_ref(),
            )
        })
        .flatten();
    let work = async {
        let started = Instant::now();
        let response = within(trace.as_ref(), keeper.answer(request, next)).await;
        let (duration, status) = (started.elapsed(), response.status().as_u16());
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(http.status = status, duration_ms, "request answered");
        lockstep_telemetry::http::answered(keeper.server, &template, status, duration);
        if let Some(trace) = &trace {
            trace.answered(status);
        }
        response
    };
    work.instrument(span).await
}

impl ConcurrencyLimiter {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let Ok(_place) = self.places.try_acquire() else {
            return ProblemResponse::busy().into_response();
        };
        match tokio::time::timeout(self.timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ProblemResponse::timeout().into_response(),
        }
    }
}
