use std::time::Duration;

use lockstep_bus::Bus;
use lockstep_http::Readiness;

use lockstep_store::Schema;

/// How long the store may take to give a sign of life.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// What the process would need and cannot reach.
pub(crate) async fn away(bus: &dyn Bus, store: &dyn Schema) -> Vec<&'static str> {
    let mut away = Vec::new();
    let ping = tokio::time::timeout(PING_TIMEOUT, store.ping()).await;
    if !matches!(ping, Ok(Ok(()))) {
        away.push("store");
    }
    if !Readiness::takes_messages(bus.status()) || !bus.figures().consuming {
        away.push("broker");
    }
    away
}
