//! The stages of an execution as the console shows them. Pure.

use lockstep_protocol::rest::StageView;
use lockstep_store::NewExecution;

/// The names of the tasks of all phases: the pre-tasks, the task itself, the post-tasks.
pub(super) fn tasks(request: &NewExecution) -> impl Iterator<Item = &str> {
    let before = request.pre_tasks.iter().map(|phase| phase.task.as_str());
    let after = request.post_tasks.iter().map(|phase| phase.task.as_str());
    before.chain([request.task.as_str()]).chain(after)
}

/// The index of the phase of the task itself.
pub(super) fn main_phase(request: &NewExecution) -> u8 {
    u8::try_from(request.pre_tasks.len()).unwrap_or(u8::MAX)
}

/// The stages, in their order.
pub(super) fn all(request: &NewExecution) -> Vec<StageView> {
    (0..).map_while(|index| at(request, index)).collect()
}

/// The stage with this index.
pub(crate) fn at(request: &NewExecution, index: u16) -> Option<StageView> {
    let planned = request.plan.get(usize::from(index))?;
    let task = tasks(request).nth(usize::from(planned.phase));
    Some(StageView {
        index,
        phase: planned.phase,
        task: task.unwrap_or_default().to_owned(),
        stage: planned.stage,
    })
}
