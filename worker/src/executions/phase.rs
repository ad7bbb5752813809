//! The phases and stages of an execution: which provider runs in which, and which elements take part. Pure.

use lockstep_execution::cycle::{self, PhaseRole, StagePlan};
use lockstep_execution::{Registry, Steps, or_empty};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::{EntityType, Level};
use lockstep_store::{ElementLevels, NewExecution, PhaseTask, PlannedStage};
use serde_json::Value;

/// The task of a phase, as it was when the execution was requested.
#[derive(Clone, Copy, Debug)]
pub(super) struct TaskOfPhase<'a> {
    pub(super) role: PhaseRole,
    pub(super) provider: &'a str,
    pub(super) arguments: &'a Value,
    pub(super) run_arguments: &'a Value,
    pub(super) run_on: ExecuteOn,
}

/// The tasks of an execution, in the order of its phases.
pub(super) fn tasks(new: &NewExecution) -> impl Iterator<Item = TaskOfPhase<'_>> {
    let main = TaskOfPhase {
        role: PhaseRole::Main,
        provider: &new.provider,
        arguments: &new.task_arguments,
        run_arguments: &new.requested.arguments,
        run_on: new.run_on,
    };
    let before = new.pre_tasks.iter().map(|task| of_related(PhaseRole::Pre, task));
    let after = new
        .post_tasks
        .iter()
        .map(|task| of_related(PhaseRole::Post, task));
    before.chain([main]).chain(after)
}

fn of_related(role: PhaseRole, task: &PhaseTask) -> TaskOfPhase<'_> {
    TaskOfPhase {
        role,
        provider: &task.provider,
        arguments: &task.arguments,
        run_arguments: &task.run_arguments,
        run_on: task.run_on,
    }
}

/// The stage with this index.
pub(super) fn stage(new: &NewExecution, index: u16) -> Option<PlannedStage> {
    new.plan.get(usize::from(index)).copied()
}

/// The task of the stage with this index.
pub(super) fn task_of_stage(new: &NewExecution, index: u16) -> Option<TaskOfPhase<'_>> {
    tasks(new).nth(usize::from(stage(new, index)?.phase))
}

/// The stages of an execution, as the run cycle has them.
pub(super) fn stages(new: &NewExecution) -> StagePlan {
    let stages = new.plan.iter().map(|planned| cycle::PlannedStage {
        phase: planned.phase,
        stage: planned.stage,
    });
    StagePlan(stages.collect())
}

/// The phase of the task itself.
pub(super) fn main(new: &NewExecution) -> u8 {
    u8::try_from(new.pre_tasks.len()).unwrap_or(u8::MAX)
}

/// Which elements an execution has, whose tasks have these steps.
pub(super) fn levels(plan: &[PlannedStage], steps: &[Steps]) -> ElementLevels {
    let first = |kind: EntityType| {
        let index = plan
            .iter()
            .position(|planned| planned.stage.entity_type() == kind);
        index.and_then(|index| u16::try_from(index).ok())
    };
    let uses = |level: Level| steps.iter().any(|steps| steps.at(level));
    ElementLevels {
        global: first(EntityType::Global),
        groups: first(EntityType::Group),
        devices: first(EntityType::Device),
        group_clients: uses(Level::GroupClient),
        interface_clients: uses(Level::InterfaceClient),
    }
}

/// The steps of the tasks of an execution, as far as this process has their providers.
pub(super) fn steps(new: &NewExecution, registry: &Registry) -> Vec<Steps> {
    let providers = tasks(new).filter_map(|task| Some((registry.get(task.provider)?, task.arguments)));
    providers
        .map(|(provider, arguments)| provider.steps(&or_empty(arguments)))
        .collect()
}

#[cfg(test)]
mod tests {
    use lockstep_execution::CycleStep;
    use lockstep_protocol::Stage;

    use super::*;

    #[test]
    fn each_kind_of_element_takes_part_from_its_first_stage_on() {
        let stages = [
            (0, Stage::Devices),
            (1, Stage::PreRunGlobal),
            (1, Stage::Devices),
            (1, Stage::RunGroups),
        ];
        let plan = stages.map(|(phase, stage)| PlannedStage { phase, stage });
        let client = Steps::of(&[CycleStep::RunOnClientOfLocation]);
        let found = levels(&plan, &[Steps::of(&[CycleStep::RunOnDevice]), client]);
        let expected = ElementLevels {
            global: Some(1),
            groups: Some(3),
            devices: Some(0),
            group_clients: true,
            interface_clients: false,
        };
        assert_eq!(found, expected);
        assert_eq!(levels(&[], &[]), ElementLevels::default());
    }
}
