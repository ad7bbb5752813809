//! Takes samples of how many devices are synchronized, for the plot of the console and its API. One process of all takes them.

use std::sync::Arc;

use async_trait::async_trait;
use lockstep_store::FleetTrend;

use crate::runtime::{Leadership, PeriodicTask, chain};

/// Takes a sample of each minute in which it runs.
#[derive(Clone, Debug)]
pub struct FleetSampling {
    /// The store that counts the devices and keeps the samples.
    pub trend: Arc<dyn FleetTrend>,
}

#[async_trait]
impl PeriodicTask for FleetSampling {
    async fn run(&self, leadership: &Leadership<'_>) {
        let sampled = match leadership.continues().await {
            Ok(true) => self.trend.sample_fleet().await.map(|_| ()),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        if let Err(error) = sampled {
            tracing::warn!(
                error = chain(&error),
                "no sample of the fleet was taken; the next run tries again"
            );
        }
    }
}
