use std::fmt::Debug;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{CycleResult, PhaseRole, Produced, Results, Steps, UnitTree};
use crate::provider::EntityData;
use crate::{Devices, Entity, Provider};

/// Which steps of a unit run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The pre-run steps: the run steps are a later stage.
    PreRun,
    /// The run steps: the pre-run steps were an earlier stage.
    Run,
    /// All.
    Both,
}

/// A unit: the entities that one worker runs the steps of a stage on, at a stretch.
#[derive(Debug)]
pub struct Unit<'a> {
    /// The provider of the phase.
    pub provider: &'a dyn Provider,
    /// Its steps with these arguments.
    pub steps: Steps,
    /// What the phase is for.
    pub role: PhaseRole,
    /// The entities.
    pub tree: &'a UnitTree,
    /// Which steps run.
    pub half: Half,
    /// The entities above the unit with their pre-run results: the fleet, the groups of its devices.
    pub above: &'a [(Entity, Value)],
    /// Whether nothing may be changed outside.
    pub dry_run: bool,
    /// The arguments of the task.
    pub arguments: &'a Value,
    /// The arguments of the run.
    pub run_arguments: &'a Value,
    /// Fires when the unit is to end.
    pub cancel: &'a CancellationToken,
    /// Opens connections to devices.
    pub devices: &'a dyn Devices,
    /// What is known about entities.
    pub entities: &'a dyn EntityData,
    /// What ended in earlier stages.
    pub results: &'a dyn Results,
}

/// Runs the steps of a unit. `results` are those of all its entities so far, in the order of the tree (entities that failed in an earlier
/// stage or phase are left alone), and are written as steps end: what is there when the future is dropped counts. Returns what result
/// processing produced: facts, checks and items. A step that panics fails its entity.
pub async fn run_unit(_unit: &Unit<'_>, _results: &mut Vec<CycleResult>) -> Produced {
    todo!("part cycle")
}
