use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockstep_bus::BusStatus;
use serde::Serialize;

/// Whether a server can do its work, and what is missing.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    away: Vec<&'static str>,
}

impl Readiness {
    /// The process answers: that is all.
    pub fn alive() -> Self {
        Self {
            status: "alive",
            away: Vec::new(),
        }
    }

    /// Ready, unless something is away.
    pub fn unless(away: Vec<&'static str>) -> Self {
        let status = if away.is_empty() { "ready" } else { "not-ready" };
        Self { status, away }
    }

    /// Whether the broker takes messages, as far as is known.
    pub fn takes_messages(status: BusStatus) -> bool {
        match status {
            BusStatus::Connected => true,
            BusStatus::Blocked | BusStatus::Disconnected | BusStatus::Closed => false,
        }
    }
}

impl IntoResponse for Readiness {
    fn into_response(self) -> Response {
        let status = if self.away.is_empty() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        (status, Json(self)).into_response()
    }
}
