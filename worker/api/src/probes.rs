use std::sync::Arc;

use axum::extract::State;
use lockstep_http::Readiness;

use crate::console::Shared;
use crate::health::away;

/// The process answers: that is all.
pub(super) async fn alive() -> Readiness {
    Readiness::alive()
}

/// The store answers and the broker takes messages.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Readiness {
    let mut away = away(&*shared.context.bus, &*shared.context.schema).await;
    if shared.stop.is_cancelled() {
        away.push("console");
    }
    Readiness::unless(away)
}
