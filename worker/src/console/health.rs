use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use lockstep_http::Readiness;

use super::Shared;

/// How long the store may take to give a sign of life.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The process answers: that is all.
pub(super) async fn alive() -> Readiness {
    Readiness::alive()
}

/// The store answers and the broker takes messages.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Readiness {
    let mut away = Vec::new();
    let ping = tokio::time::timeout(PING_TIMEOUT, shared.context.schema.ping()).await;
    if !matches!(ping, Ok(Ok(()))) {
        away.push("store");
    }
    if !Readiness::takes_messages(shared.context.bus.status()) {
        away.push("broker");
    }
    if shared.stop.is_cancelled() {
        away.push("console");
    }
    Readiness::unless(away)
}
