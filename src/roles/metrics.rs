//! What processes show at `/metrics`.

use std::sync::Arc;
use std::time::Duration;

use lockstep_api::health::{ProcessSampler, StoreProbe};
use lockstep_bus::Bus;
use lockstep_clock::SystemClock;
use lockstep_telemetry::Scrape;
use tokio::time::MissedTickBehavior;

use super::store::Store;
use crate::lifecycle::Lifecycle;
use crate::telemetry;

/// How often what was recorded is worked off.
const TIDYING: Duration = Duration::from_secs(5);

/// With the numbers of the fleet: for the console, of which there are few.
pub(super) fn with_fleet(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: &Store) -> Scrape {
    let asked = StoreProbe::Fleet(store.stats.clone(), Arc::new(SystemClock));
    scrape(lifecycle, bus, Some(asked))
}

/// With a sign of life of the store: for workers, of which there may be many.
pub(super) fn with_store(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: &Store) -> Scrape {
    let asked = StoreProbe::Ping(store.schema.clone(), store.stats.clone());
    scrape(lifecycle, bus, Some(asked))
}

/// Of a process without a store.
pub(super) fn of_bus(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>) -> Scrape {
    scrape(lifecycle, bus, None)
}

fn scrape(lifecycle: &mut Lifecycle, bus: &Arc<dyn Bus>, store: Option<StoreProbe>) -> Scrape {
    let metrics = telemetry::metrics();
    let (tidied, stop) = (metrics.clone(), lifecycle.soft.clone());
    lifecycle.spawn("tidying of metrics", async move {
        let mut ticks = tokio::time::interval(TIDYING);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            tidied.tidy();
        }
        Ok(())
    });
    Scrape::new(metrics, Arc::new(ProcessSampler::new(bus.clone(), store)))
}
