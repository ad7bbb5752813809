//! The processing of results after the last step.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use lockstep_protocol::ElementState;

use super::{CycleResult, NOT_OK, PhaseRole, Unit, UnitRun};

/// Processes the results of all entities that ended, children before parents. A panic fails the entity.
pub(super) fn process(unit: &Unit<'_>, run: &mut UnitRun) {
    for index in unit.tree.upwards() {
        let ended = run.results[index].state != ElementState::Pending;
        if !ended || !unit.steps.at(run.results[index].level) {
            continue;
        }
        let below = unit.tree.below(index).len();
        let (until, behind) = run.results.split_at_mut(index + 1);
        let result = &mut until[index];
        let produced = &mut run.produced;
        let processed = catch_unwind(AssertUnwindSafe(|| {
            unit.provider
                .process_result(unit.arguments, result, &behind[..below], produced);
        }));
        if let Err(panic) = processed {
            let text = panic_text(&*panic);
            result.state = ElementState::Failed;
            result.reason = Some("crashed".to_owned());
            result.message = Some(format!(
                "the provider panicked while it processed the result: {text}"
            ));
        }
        settle(unit.role, result);
    }
}

/// A failure of a pre- or post-task has a state of its own, and a check that is not fulfilled is one.
fn settle(role: PhaseRole, result: &mut CycleResult) {
    let is_not_ok = role != PhaseRole::Main
        && result.state == ElementState::Successful
        && result.reason.as_deref() == Some(NOT_OK);
    if is_not_ok || result.is_failed() || result.state.outcome().is_none() {
        result.state = role.failed(result.state);
    }
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default()
}
