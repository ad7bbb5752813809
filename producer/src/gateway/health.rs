use std::sync::Arc;

use axum::extract::State;
use lockstep_http::Readiness;

use super::Shared;

/// The process answers: that is all.
pub(super) async fn alive() -> Readiness {
    Readiness::alive()
}

/// The broker takes messages.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Readiness {
    let mut away = Vec::new();
    if !Readiness::takes_messages(shared.context.bus.status()) {
        away.push("broker");
    }
    if shared.stop.is_cancelled() {
        away.push("gateway");
    }
    Readiness::unless(away)
}
