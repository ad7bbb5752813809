//! Builds what runs executions on a worker.

use std::sync::Arc;

use lockstep_bus::Bus;
use lockstep_clock::Clock;
use lockstep_execution::Caps;
use lockstep_worker::executions::{ExecutionContext, ExecutionOptions};
use lockstep_worker::repositories::Source;

use super::devices;
use super::external::ExternalCheck;
use super::providers::registry;
use super::store::{Store, process_name};
use super::sync;
use crate::config::Config;

/// The connections and providers of executions.
///
/// # Errors
/// If the certificates of the authorities of devices or clusters cannot be read.
pub(super) fn context(
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    sources: &[Source],
    clock: &Arc<dyn Clock>,
    external: Vec<ExternalCheck>,
) -> anyhow::Result<ExecutionContext> {
    let executions = &config.executions;
    Ok(ExecutionContext {
        bus: bus.clone(),
        store: store.unit_of_work.clone(),
        executions: store.executions.clone(),
        cycle: store.cycle.clone(),
        follow_ups: store.follow_ups.clone(),
        registry: registry(config, sync::provider(config, store, sources, clock), external)?,
        types: Arc::new(config.devices.types.clone()),
        devices: devices::devices(&config.devices)?,
        clock: clock.clone(),
        options: ExecutionOptions {
            caps: Caps {
                overall: executions.at_once,
                providers: executions.at_once_per_provider.clone(),
                groups: executions.at_once_per_group.clone(),
            },
            places: usize::from(config.worker.elements_at_once),
            element_timeout: executions.element_timeout,
            sync: sync::requests(config),
            worker: process_name(),
            ..ExecutionOptions::default()
        },
    })
}
