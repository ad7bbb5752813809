use std::sync::Arc;

use axum::extract::State;
use lockstep_http::Readiness;

use crate::console::Shared;
use crate::health::unavailable;

/// Answers 200 as long as the process can answer at all.
pub(super) async fn alive() -> Readiness {
    Readiness::alive()
}

/// Answers 200 while the store answers, the broker takes messages, and the console is not stopping; otherwise 503.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Readiness {
    let mut unavailable = unavailable(&*shared.context.bus, &*shared.context.schema).await;
    if shared.stop.is_cancelled() {
        unavailable.push("console");
    }
    Readiness::unless(unavailable)
}
