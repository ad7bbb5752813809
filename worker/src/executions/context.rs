use std::sync::Arc;

use jiff::Timestamp;
use lockstep_bus::Bus;
use lockstep_clock::Clock;
use lockstep_execution::{Devices, Registry};
use lockstep_intent::fleet::DeviceTypes;
use lockstep_store::{Executions, Facts, FollowUps, RunCycle, UnitOfWork};

use super::ExecutionOptions;

/// The connections and providers that executions need.
#[derive(Clone, Debug)]
pub struct ExecutionContext {
    /// Publishes the messages about elements.
    pub bus: Arc<dyn Bus>,
    /// The transactions in which executions change.
    pub store: Arc<dyn UnitOfWork>,
    /// Reads executions, and renews running elements.
    pub executions: Arc<dyn Executions>,
    /// Reads and writes what the run cycle needs beside elements.
    pub cycle: Arc<dyn RunCycle>,
    /// The messages that ended executions caused.
    pub follow_ups: Arc<dyn FollowUps>,
    /// The providers of this worker.
    pub registry: Registry,
    /// The device types of the site.
    pub types: Arc<DeviceTypes>,
    /// Opens connections to devices.
    pub devices: Arc<dyn Devices>,
    /// Gives the time of decisions where the store has none.
    pub clock: Arc<dyn Clock>,
    /// Limits and times.
    pub options: ExecutionOptions,
}

impl ExecutionContext {
    /// The time of decisions. The store's clock counts.
    pub(super) fn now(&self, facts: &Facts) -> Timestamp {
        facts.now().unwrap_or_else(|| self.clock.now())
    }
}
