use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use lockstep_bus::BusStatus;
use serde::Serialize;

/// The response of a liveness or readiness probe.
#[derive(Debug, Serialize)]
pub struct Readiness {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    away: Vec<&'static str>,
}

impl Readiness {
    /// The process is alive; dependencies are not checked.
    pub fn alive() -> Self {
        Self {
            status: "alive",
            away: Vec::new(),
        }
    }

    /// Ready if no dependency is unavailable; `away` lists those that are.
    pub fn unless(away: Vec<&'static str>) -> Self {
        let status = if away.is_empty() { "ready" } else { "not-ready" };
        Self { status, away }
    }

    /// Whether messages can be published, as far as the bus knows.
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
    fn only_a_connected_bus_takes_messages() {
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
    fn an_unavailable_dependency_affects_readiness_and_not_liveness() {
        let status = |readiness: Readiness| readiness.into_response().status();
        assert_eq!(status(Readiness::alive()), 200);
        assert_eq!(status(Readiness::unless(Vec::new())), 200);
        assert_eq!(status(Readiness::unless(vec!["broker"])), 503);
    }
}
