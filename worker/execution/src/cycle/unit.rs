use std::collections::HashMap;

use lockstep_protocol::{ElementOutcome, ElementState, Level};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::process::process;
use super::{
    CycleResult, CycleStep, Journal, JournaledStep, Node, PhaseRole, Produced, Results, Steps, UnitTree,
};
use crate::provider::EntityData;
use crate::{ChildExecutions, Devices, ElementAttempt, Entity, Parked, Provider};

/// The reason of an entity that was skipped because one above it failed.
pub const PARENT_FAILED: &str = "parent-failed";

/// Which steps of a unit run. See [`StagePlan::half`](super::StagePlan::half).
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
    /// The element.
    pub element: ElementAttempt,
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
    /// Begins executions. `None` where there are none.
    pub children: Option<&'a dyn ChildExecutions>,
    /// What is known about entities.
    pub entities: &'a dyn EntityData,
    /// What ended in earlier stages.
    pub results: &'a dyn Results,
    /// Where steps that begin and end are written down, for a provider whose steps may not be repeated.
    pub journal: Option<&'a dyn Journal>,
}

/// What a unit came to so far. Steps write into it when they end, so it counts, too, when the future of [`run_unit`](super::run_unit) is
/// dropped.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UnitRun {
    /// The results of the entities, in the order of the tree. Those at levels without a step are there as parents: they stay PENDING, and are
    /// not stored.
    pub results: Vec<CycleResult>,
    /// Facts, checks and items.
    pub produced: Produced,
    /// The index of the entity whose step runs. After the end: the step in which the unit was dropped, or failed when it was told to stop.
    pub running: Option<usize>,
    /// The index of the entity whose step ran last.
    pub(super) last: Option<usize>,
    /// Set if the step that failed is not possible now.
    pub parked: Option<Parked>,
    /// The entities whose pre-run step ended in an earlier stage or attempt.
    pub(super) prepared: Vec<bool>,
}

impl UnitRun {
    /// A unit at the beginning of a stage. `so_far` are the results of its entities in the same phase, from an earlier stage. `earlier` are
    /// those of earlier phases: entities that failed or were skipped there take no part any more.
    pub fn begin(tree: &UnitTree, so_far: Vec<CycleResult>, earlier: &[CycleResult]) -> Self {
        let mut so_far: HashMap<(Level, u64), CycleResult> = so_far
            .into_iter()
            .map(|result| ((result.level, result.entity), result))
            .collect();
        let left_out: HashMap<(Level, u64), &CycleResult> = earlier
            .iter()
            .filter(|result| result.is_failed() || result.is_skipped())
            .map(|result| ((result.level, result.entity), result))
            .collect();
        let nodes = tree.nodes();
        let is_prepared = |node: &Node| so_far.contains_key(&(node.level, node.entity.id));
        let prepared = nodes.iter().map(is_prepared).collect();
        let results = nodes.iter().map(|node| {
            let key = (node.level, node.entity.id);
            let parent = node.parent.and_then(|parent| nodes.get(parent));
            let fresh = || CycleResult {
                level: node.level,
                entity: node.entity.id,
                name: node.entity.name.clone(),
                parent: parent.map(|parent| parent.entity.id),
                state: ElementState::Pending,
                reason: None,
                message: None,
                changed: false,
                pre_run: Value::Null,
                data: Value::Null,
            };
            let mut result = so_far.remove(&key).unwrap_or_else(fresh);
            if let Some(earlier) = left_out.get(&key)
                && result.state == ElementState::Pending
            {
                result.state = ElementState::Filtered;
                result.reason = Some(left_out_reason(earlier));
                result.message.clone_from(&earlier.message);
            }
            result
        });
        Self {
            results: results.collect(),
            prepared,
            ..Self::default()
        }
    }

    /// Goes on where an earlier attempt was interrupted: steps that ended are not repeated, and the entity of a step that began and has not
    /// ended fails.
    pub fn resume(&mut self, role: PhaseRole, mut journal: Vec<JournaledStep>) {
        let indexes: HashMap<(Level, u64), usize> = (0..)
            .zip(&self.results)
            .map(|(index, result)| ((result.level, result.entity), index))
            .collect();
        journal.sort_by_key(|step| !step.pre_run);
        for step in journal {
            let Some(index) = indexes.get(&(step.level, step.entity)).copied() else {
                continue;
            };
            if let Some(result) = step.result {
                self.results[index] = result;
                let kind = step.level.entity_type();
                let facts = step.facts.into_iter();
                let facts = facts.map(|(key, value)| (kind, step.entity, key, value));
                self.produced.facts.extend(facts);
                self.prepared[index] |= step.pre_run;
            } else {
                let result = &mut self.results[index];
                result.state = role.failed(ElementState::Failed);
                result.reason = Some("interrupted".to_owned());
                result.message = Some("its worker was stopped while the step ran".to_owned());
            }
        }
    }

    /// Ends a unit that was told to stop, or dropped. The entity whose step ran failed for this reason; those that have steps left are skipped.
    pub fn stop(&mut self, unit: &Unit<'_>, reason: &str, message: &str) {
        if let Some(result) = self.running.and_then(|index| self.results.get_mut(index)) {
            let said = result.message.take().filter(|_| result.is_failed());
            result.message =
                Some(said.map_or_else(|| message.to_owned(), |said| format!("{message}: {said}")));
            result.state = unit.role.failed(result.state);
            result.reason = Some(reason.to_owned());
        }
        self.skip_below_failed(unit);
        let state = match reason {
            "cancelled" => ElementState::Aborted,
            _ => ElementState::Filtered,
        };
        let pending = self.results.iter_mut();
        for result in pending.filter(|result| result.state == ElementState::Pending) {
            if unit.steps.at(result.level) {
                result.state = state;
                result.reason = Some(reason.to_owned());
                result.message = Some(message.to_owned());
            }
        }
        process(unit, self);
    }

    /// Whether the unit goes on in a later stage of its phase: only its pre-run steps ended, and its first entity did not fail.
    pub fn goes_on(&self, half: Half) -> bool {
        let first = self.results.first();
        half == Half::PreRun && first.is_some_and(|first| !first.is_failed() && !first.is_skipped())
    }

    /// Skips entities that were not there when their pre-run step would have run: their run step would not find what it needs.
    pub(super) fn skip_unprepared(&mut self, steps: Steps) {
        for (result, prepared) in self.results.iter_mut().zip(&self.prepared) {
            let step = CycleStep::of_level(result.level, true);
            let is_missed = step.is_some_and(|step| steps.contains(step)) && !prepared;
            if is_missed && result.state == ElementState::Pending {
                result.state = ElementState::Filtered;
                result.reason = Some("not-prepared".to_owned());
                result.message = Some("it was added after the pre-run steps".to_owned());
            }
        }
    }

    /// Skips what lies below an entity that failed or was skipped.
    pub(super) fn skip_below_failed(&mut self, unit: &Unit<'_>) {
        let mut index = 0;
        while let Some(result) = self.results.get(index) {
            index = if result.is_failed() || result.is_skipped() {
                self.skip_below(unit, index);
                unit.tree.below(index).end.max(index + 1)
            } else {
                index + 1
            };
        }
    }

    /// Skips all below an entity that has steps left.
    pub(super) fn skip_below(&mut self, unit: &Unit<'_>, index: usize) {
        for result in &mut self.results[unit.tree.below(index)] {
            if result.state == ElementState::Pending && unit.steps.at(result.level) {
                result.state = ElementState::Filtered;
                result.reason = Some(PARENT_FAILED.to_owned());
            }
        }
    }
}

/// Why an entity takes no part that failed, or was skipped, in an earlier phase.
fn left_out_reason(earlier: &CycleResult) -> String {
    let word = match (earlier.state.outcome(), earlier.state) {
        (Some(ElementOutcome::Skipped), _) => earlier.reason.as_deref().unwrap_or(PARENT_FAILED),
        (_, ElementState::PrecheckFailed) => "precheck-failed",
        (_, ElementState::PostcheckFailed) => "postcheck-failed",
        _ => "task-failed",
    };
    word.to_owned()
}
