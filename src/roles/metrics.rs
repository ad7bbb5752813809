//! Builds the metrics that processes serve at `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use lockstep_api::health::{ProcessSampler, StoreProbe};
use lockstep_bus::Bus;
use lockstep_telemetry::Scrape;
use tokio::time::MissedTickBehavior;

use super::store::Store;
use crate::lifecycle::Lifecycle;
use crate::telemetry;

/// How often recorded samples are aggregated, so that they do not pile up between scrapes.
const TIDY_INTERVAL: Duration = Duration::from_secs(5);

/// Metrics with the gauges of the fleet: for consoles, of which there are few.
pub(super) fn with_fleet(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: &Store) -> Scrape {
    let probe = StoreProbe::Fleet(store.stats.clone());
    scrape(lifecycle, bus, Some(probe))
}

/// Metrics with a ping of the store only: for workers, of which there may be many.
pub(super) fn with_store(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: &Store) -> Scrape {
    let probe = StoreProbe::Ping(store.schema.clone(), store.stats.clone());
    scrape(lifecycle, bus, Some(probe))
}

/// Metrics of a process without a store.
pub(super) fn of_bus(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>) -> Scrape {
    scrape(lifecycle, bus, None)
}

fn scrape(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: Option<StoreProbe>) -> Scrape {
    let metrics = telemetry::metrics();
    if store.is_some() {
        lockstep_telemetry::store::begin();
    }
    let (tidied, stop) = (metrics.clone(), lifecycle.stop.clone());
    lifecycle.spawn("aggregation of metrics", async move {
        let mut ticks = tokio::time::interval(TIDY_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            tidied.tidy();
        }
        Ok(())
    });
    Scrape::new(metrics, Arc::new(ProcessSampler::new(bus.clone(), store)))
}
