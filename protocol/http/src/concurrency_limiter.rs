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
use crate::trace::sent_traceparent;

/// Routes that are not traced: probes and scrapes are frequent and have no effects.
const UNTRACED: [&str; 5] = ["", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// Limits how many requests are processed concurrently and for how long; logs, counts and traces each.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimiter {
    server: &'static str,
    places: Option<Arc<Semaphore>>,
    timeout: Duration,
}

impl ConcurrencyLimiter {
    /// Allows `places` concurrent requests of at most `timeout` each; `server` is a label in metrics.
    pub fn new(server: &'static str, places: usize, timeout: Duration) -> Self {
        Self {
            server,
            places: Some(Arc::new(Semaphore::new(places))),
            timeout,
        }
    }

    /// Limits only the duration: for requests that cost nothing, and for those whose number is limited later.
    pub fn of_duration(server: &'static str, timeout: Duration) -> Self {
        Self {
            server,
            places: None,
            timeout,
        }
    }
}

/// The middleware. The span contains the route's template without the query, and the token's name without its secret.
pub async fn admit(State(limiter): State<ConcurrencyLimiter>, request: Request, next: Next) -> Response {
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
    let traced = Span::are_made() && !UNTRACED.contains(&template);
    let trace = traced
        .then(|| {
            Span::request(
                request.method().as_str(),
                template,
                sent_traceparent(request.headers()).as_ref(),
            )
        })
        .flatten();
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let work = async {
        let started = Instant::now();
        let response = within(trace.as_ref(), limiter.respond(request, next)).await;
        let (duration, status) = (started.elapsed(), response.status().as_u16());
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(http.status = status, duration_ms, "request answered");
        let template = matched.as_ref().map_or("", MatchedPath::as_str);
        lockstep_telemetry::http::answered(limiter.server, template, status, duration);
        if let Some(trace) = &trace {
            trace.answered(status);
        }
        response
    };
    work.instrument(span).await
}

impl ConcurrencyLimiter {
    async fn respond(&self, request: Request, next: Next) -> Response {
        let Ok(_place) = self
            .places
            .as_ref()
            .map(|places| places.try_acquire())
            .transpose()
        else {
            return ProblemResponse::busy().into_response();
        };
        match tokio::time::timeout(self.timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => ProblemResponse::timeout().into_response(),
        }
    }
}
