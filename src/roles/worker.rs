//! Builds the worker.

use std::sync::Arc;

use lockstep_bus::Bus;
use lockstep_worker::clock::SystemClock;
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, TrustedUsers, WorkerContext, WorkerOptions};

use super::store::Store;
use crate::config::Config;
use crate::lifecycle::Lifecycle;

pub(super) fn spawn(lifecycle: &mut Lifecycle, config: &Config, bus: &Arc<dyn Bus>, store: &Store) {
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.batches.clone(),
        handlers: Arc::new(FleetHandlers),
        clock: Arc::new(SystemClock),
    };
    // Our own user is trusted: the console beside us publishes under it.
    let trusted = config
        .broker
        .trusted_users
        .iter()
        .cloned()
        .chain([bus.user().to_owned()]);
    let options = WorkerOptions {
        lanes: config.worker.lanes.clone(),
        prefetch: config.worker.prefetch,
        batch_size: usize::from(config.worker.batch_size),
        linger: config.worker.batch_linger,
        trusted_users: TrustedUsers::new(trusted),
    };
    let (stop, abandon) = (lifecycle.soft.clone(), lifecycle.hard.clone());
    lifecycle.spawn("worker", async move {
        Ok(runtime::run(context, options, stop, abandon).await?)
    });
}
