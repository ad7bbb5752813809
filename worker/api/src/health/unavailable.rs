use std::time::Duration;

use lockstep_bus::Bus;
use lockstep_http::Readiness;

use lockstep_store::Schema;

/// How long the store may take to answer a ping.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The names of the dependencies that cannot be used now: `store`, `broker`. Waits at most [`PING_TIMEOUT`].
pub(crate) async fn unavailable(bus: &dyn Bus, store: &dyn Schema) -> Vec<&'static str> {
    let mut unavailable = Vec::new();
    let ping = tokio::time::timeout(PING_TIMEOUT, store.ping()).await;
    if !matches!(ping, Ok(Ok(()))) {
        unavailable.push("store");
    }
    if !Readiness::takes_messages(bus.status()) || !bus.figures().consuming {
        unavailable.push("broker");
    }
    unavailable
}
