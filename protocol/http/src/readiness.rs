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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_broker_that_takes_messages_is_good_enough() {
        let table = [
            (BusStatus::Connected, true),
            (BusStatus::Blocked, false),
            (BusStatus::Disconnected, false),
            (BusStatus::Closed, false),
        ];
        for (status, ready) in table {
            assert_eq!(Readiness::takes_messages(status), ready, "{status:?}");
        }
    }

    #[test]
    fn what_is_away_makes_it_not_ready_and_nothing_makes_it_dead() {
        let status = |readiness: Readiness| readiness.into_response().status();
        assert_eq!(status(Readiness::alive()), 200);
        assert_eq!(status(Readiness::unless(Vec::new())), 200);
        assert_eq!(status(Readiness::unless(vec!["broker"])), 503);
    }
}
