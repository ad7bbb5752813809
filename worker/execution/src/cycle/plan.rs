use lockstep_protocol::{ElementOutcome, ElementState, Level, Stage};
use serde::{Deserialize, Serialize};

use super::{CycleStep, Half, Steps};

/// What a phase of an execution is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseRole {
    /// A pre-task.
    Pre,
    /// The task itself.
    Main,
    /// A post-task.
    Post,
}

impl PhaseRole {
    /// The state of an entity that failed in this state in such a phase. A step of the task itself may say that its entity is skipped.
    pub(super) const fn failed(self, state: ElementState) -> ElementState {
        match (self, state.outcome()) {
            (Self::Pre, _) => ElementState::PrecheckFailed,
            (Self::Post, _) => ElementState::PostcheckFailed,
            (Self::Main, Some(ElementOutcome::Failed | ElementOutcome::Skipped)) => state,
            (Self::Main, _) => ElementState::Failed,
        }
    }
}

/// A phase of an execution: one run cycle, of the task or of one of its pre- and post-tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Phase {
    /// What it is for.
    pub role: PhaseRole,
    /// The steps of its provider.
    pub steps: Steps,
}

/// A stage of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PlannedStage {
    /// The index of the phase.
    pub phase: u8,
    /// The stage.
    pub stage: Stage,
}

/// The stages of an execution, in their order: only those in which a provider has a step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StagePlan(pub Vec<PlannedStage>);

impl StagePlan {
    /// The stages of these phases.
    pub fn of(phases: &[Phase]) -> Self {
        let stages = phases.iter().enumerate().flat_map(|(index, phase)| {
            let used = Stage::ALL
                .into_iter()
                .filter(|stage| phase.steps.in_stage(*stage));
            let phase = u8::try_from(index).unwrap_or(u8::MAX);
            used.map(move |stage| PlannedStage { phase, stage })
        });
        Self(stages.collect())
    }

    /// The index of the first stage after `after` in which elements of the kind of `stage` take part. `None` as `after`: of all.
    pub fn next(&self, stage: Stage, after: Option<u16>) -> Option<u16> {
        let begin = after.map_or(0, |after| usize::from(after) + 1);
        let later = self.0.iter().enumerate().skip(begin);
        let mut later = later.filter(|(_, planned)| planned.stage.entity_type() == stage.entity_type());
        later.next().and_then(|(index, _)| u16::try_from(index).ok())
    }

    /// Which steps of a unit run in this stage: the pre-run steps if a later stage of the same phase has its run steps.
    pub fn half(&self, index: u16) -> Half {
        let Some(planned) = self.0.get(usize::from(index)) else {
            return Half::Both;
        };
        let is_same = |other: &&PlannedStage| {
            other.phase == planned.phase
                && other.stage != planned.stage
                && other.stage.entity_type() == planned.stage.entity_type()
        };
        match self.0.iter().find(is_same) {
            None => Half::Both,
            Some(other) if other.stage > planned.stage => Half::PreRun,
            Some(_) => Half::Run,
        }
    }

    /// The stage that a canary and its bounds are about: the devices of the main phase, else its first stage.
    pub fn canary(&self, main: u8) -> u16 {
        let of_main = |planned: &PlannedStage| planned.phase == main;
        let devices = |planned: &PlannedStage| of_main(planned) && planned.stage == Stage::Devices;
        let found = self.0.iter().position(devices);
        let found = found.or_else(|| self.0.iter().position(of_main));
        found.and_then(|index| u16::try_from(index).ok()).unwrap_or(0)
    }

    /// Whether an element is all that is run of it: one stage, in which one level is used. Its row is its result then.
    pub fn is_simple(&self, steps: Steps) -> bool {
        let mut levels: Vec<Level> = steps.iter().map(CycleStep::level).collect();
        levels.dedup();
        levels.sort_unstable();
        levels.dedup();
        self.0.len() == 1 && levels.len() == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stages_in_which_a_provider_has_a_step_are_planned() {
        let check = Phase {
            role: PhaseRole::Pre,
            steps: Steps::of(&[CycleStep::RunOnDevice]),
        };
        let main = Phase {
            role: PhaseRole::Main,
            steps: Steps::of(&[
                CycleStep::PreRunGlobal,
                CycleStep::PreRunOnDeviceGroup,
                CycleStep::RunOnInterface,
                CycleStep::RunGlobal,
            ]),
        };
        let plan = StagePlan::of(&[check, main]);
        let expected = [
            (0, Stage::Devices),
            (1, Stage::PreRunGlobal),
            (1, Stage::PreRunGroups),
            (1, Stage::Devices),
            (1, Stage::RunGlobal),
        ];
        let expected = expected.map(|(phase, stage)| PlannedStage { phase, stage });
        assert_eq!(plan.0, expected);
        assert_eq!(plan.next(Stage::Devices, None), Some(0));
        assert_eq!(plan.next(Stage::Devices, Some(0)), Some(3));
        assert_eq!(plan.next(Stage::Devices, Some(3)), None);
        assert_eq!(plan.next(Stage::RunGlobal, None), Some(1));
        assert_eq!(plan.next(Stage::PreRunGlobal, Some(1)), Some(4));
        assert_eq!(plan.next(Stage::RunGroups, Some(2)), None);
        assert_eq!(plan.canary(1), 3);
        let halves: Vec<Half> = (0..6).map(|index| plan.half(index)).collect();
        let expected = [
            Half::Both,
            Half::PreRun,
            Half::Both,
            Half::Both,
            Half::Run,
            Half::Both,
        ];
        assert_eq!(halves, expected);
        assert!(!plan.is_simple(main.steps));
        let plan = StagePlan::of(&[check]);
        assert!(plan.is_simple(check.steps));
        assert_eq!(plan.canary(0), 0);
    }
}
