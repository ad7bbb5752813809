use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use lockstep_bus::BusStatus;
use serde::Serialize;

use super::Shared;

/// How long the store may take to give a sign of life.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the console can do its work, and what is missing.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    away: Vec<&'static str>,
}

/// The process answers: that is all.
pub(super) async fn alive() -> Json<Readiness> {
    Json(Readiness {
        status: "alive",
        away: Vec::new(),
    })
}

/// The store answers and the broker takes messages.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, Json<Readiness>) {
    let mut away = Vec::new();
    let ping = tokio::time::timeout(PING_TIMEOUT, shared.context.schema.ping()).await;
    if !matches!(ping, Ok(Ok(()))) {
        away.push("store");
    }
    match shared.context.bus.status() {
        BusStatus::Connected => {}
        BusStatus::Blocked | BusStatus::Disconnected | BusStatus::Closed => away.push("broker"),
    }
    if shared.stop.is_cancelled() {
        away.push("console");
    }
    if away.is_empty() {
        (
            StatusCode::OK,
            Json(Readiness {
                status: "ready",
                away,
            }),
        )
    } else {
        let status = "not-ready";
        (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { status, away }))
    }
}
