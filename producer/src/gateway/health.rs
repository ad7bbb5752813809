use std::sync::Arc;

use axum::extract::State;
use lockstep_http::Readiness;

use super::Shared;

/// `GET /healthz`: the process is alive.
pub(super) async fn alive() -> Readiness {
    Readiness::alive()
}

/// `GET /readyz`: messages can be published.
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
