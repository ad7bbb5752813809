use std::collections::BTreeSet;

use lockstep_cvp::wire::TaskId;
use lockstep_execution::{StepFailure, or_empty};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The arguments of a task. The message `lockstep.cvp-sweep.requested` has the same fields.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Arguments {
    /// The name of the cluster in the configuration of workers.
    #[serde(default)]
    pub(crate) cluster: String,
    /// Only tasks of these devices.
    #[serde(default)]
    pub(crate) devices: BTreeSet<String>,
    /// Only these tasks.
    #[serde(default)]
    pub(crate) tasks: BTreeSet<String>,
    /// Instead of a sweep: check these devices once more.
    #[serde(default)]
    pub(crate) look_again: Vec<LookAgain>,
}

/// A device whose task was cancelled some time ago.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LookAgain {
    pub(crate) task_id: String,
    pub(crate) net_element_id: String,
    #[serde(default)]
    pub(crate) hostname: String,
}

impl Arguments {
    /// Reads arguments that are valid by their schema.
    pub(crate) fn read(arguments: &Value) -> Result<Self, StepFailure> {
        let read = Self::deserialize(or_empty(arguments).as_ref());
        read.map_err(|error| StepFailure::new("invalid-arguments", error.to_string()))
    }

    /// The named tasks. `None` for all.
    pub(crate) fn only(&self) -> Option<BTreeSet<TaskId>> {
        let ids = self.tasks.iter().cloned().map(TaskId::from);
        (!self.tasks.is_empty()).then(|| ids.collect())
    }

    /// The named devices. `None` for all.
    pub(crate) fn only_devices(&self) -> Option<BTreeSet<String>> {
        (!self.devices.is_empty()).then(|| self.devices.clone())
    }
}
