use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::Instrument;

use crate::Answer;

/// Lets a bounded number of requests in, each for a bounded time, and logs how it ended.
#[derive(Clone, Debug)]
pub struct Gatekeeper {
    places: Arc<Semaphore>,
    timeout: Duration,
}

impl Gatekeeper {
    /// So many requests at once, each for at most so long.
    pub fn new(places: usize, timeout: Duration) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            timeout,
        }
    }
}

/// The middleware. The span names the path's template, never its query, and the token's name, never the token.
pub async fn admit(State(keeper): State<Gatekeeper>, request: Request, next: Next) -> Response {
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
    let work = async {
        let started = Instant::now();
        let response = keeper.answer(request, next).await;
        let duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            http.status = response.status().as_u16(),
            duration_ms,
            "request answered"
        );
        response
    };
    work.instrument(span).await
}

impl Gatekeeper {
    async fn answer(&self, request: Request, next: Next) -> Response {
        let Ok(_place) = self.places.try_acquire() else {
            return Answer::busy().into_response();
        };
        match tokio::time::timeout(self.timeout, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Answer::timeout().into_response(),
        }
    }
}
