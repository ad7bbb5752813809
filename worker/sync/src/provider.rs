use async_trait::async_trait;
use lockstep_execution::{CycleStep, Provider, ProviderProperties, StepFailure, StepResult, StepRun, Steps};
use lockstep_telemetry::sync::SyncMetrics;
use serde_json::Value;

use crate::options::{SyncOptions, SyncServices};
use crate::properties::properties;
use crate::run;

/// Synchronizes devices with their intended configurations.
#[derive(Debug)]
pub struct Sync {
    properties: ProviderProperties,
    /// `None` if this process only describes the provider.
    worker: Option<Worker>,
}

/// What a process has that runs it.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) services: SyncServices,
    pub(crate) options: SyncOptions,
    pub(crate) metrics: SyncMetrics,
}

impl Sync {
    /// The provider on a worker.
    pub fn new(services: SyncServices, options: SyncOptions) -> Self {
        Self {
            properties: properties(),
            worker: Some(Worker {
                services,
                options,
                metrics: SyncMetrics::new(),
            }),
        }
    }

    /// The provider in a process that runs nothing.
    pub fn described() -> Self {
        Self {
            properties: properties(),
            worker: None,
        }
    }
}

#[async_trait]
impl Provider for Sync {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    /// Synchronizes one device.
    async fn run_on_device(&self, run: &StepRun<'_>) -> StepResult {
        match &self.worker {
            Some(worker) => run::run(worker, run).await,
            None => Err(StepFailure::new(
                "not-here",
                "this process synchronizes no devices",
            )),
        }
    }
}
