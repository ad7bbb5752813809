use std::borrow::Cow;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use lockstep_protocol::{ElementState, Level};
use serde_json::Value;

use super::process::{panic_text, process};
use super::{CycleStep, Half, Unit, UnitRun};
use crate::{Entity, Provider, StepDone, StepFailure, StepResult, StepRun};

const NULL: &Value = &Value::Null;

/// A unit was told to stop before its last step ended. [`UnitRun::stop`] ends it, unless it is repeated or resumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

/// Runs the steps of a unit: pre-run steps from the top down, then run steps from the bottom up. Entities that failed or were skipped before
/// are left alone. A step that fails or panics fails its entity and skips all below it. When the last step ended, results are processed.
///
/// # Errors
/// The unit was told to stop. What has not run stays PENDING; a step that failed after it was told is [`UnitRun::running`].
pub async fn run_unit(unit: &Unit<'_>, run: &mut UnitRun) -> Result<(), Stopped> {
    let own = unit.provider.for_unit();
    let unit = &Unit {
        provider: own.as_deref().unwrap_or(unit.provider),
        ..*unit
    };
    run_steps(unit, run).await?;
    if own.is_some() {
        end_own(unit, run).await?;
    }
    if !run.goes_on(unit.half) {
        process(unit, run);
    }
    Ok(())
}

/// Ends what the provider kept open for the unit. If that fails, the entity of the last step fails, unless it did before.
async fn end_own(unit: &Unit<'_>, run: &mut UnitRun) -> Result<(), Stopped> {
    let Err(failure) = unit.provider.end_unit(unit.cancel).await else {
        return Ok(());
    };
    if let Some(index) = run.last.filter(|index| !run.results[*index].is_failed()) {
        let data = std::mem::take(&mut run.results[index].data);
        fail(unit, run, index, failure);
        run.results[index].data = data;
        run.skip_below(unit, index);
        run.running = Some(index).filter(|_| unit.cancel.is_cancelled());
    }
    if unit.cancel.is_cancelled() {
        return Err(Stopped);
    }
    Ok(())
}

async fn run_steps(unit: &Unit<'_>, run: &mut UnitRun) -> Result<(), Stopped> {
    if unit.half == Half::Run {
        run.skip_unprepared(unit.steps);
    }
    run.skip_below_failed(unit);
    if unit.half != Half::Run {
        for index in 0..unit.tree.nodes().len() {
            step_of(unit, run, index, true).await?;
        }
    }
    if unit.half != Half::PreRun {
        for index in unit.tree.upwards() {
            step_of(unit, run, index, false).await?;
        }
    }
    Ok(())
}

/// Runs the pre-run step or the run step of an entity, if it has one that is still to be run.
async fn step_of(unit: &Unit<'_>, run: &mut UnitRun, index: usize, pre_run: bool) -> Result<(), Stopped> {
    let node = &unit.tree.nodes()[index];
    let step_at = |pre_run| {
        let step = CycleStep::of_level(node.level, pre_run);
        step.filter(|step| unit.steps.contains(*step))
    };
    let Some(step) = step_at(pre_run) else {
        return Ok(());
    };
    let ended = run.results[index].state != ElementState::Pending;
    if ended || pre_run && run.prepared[index] {
        return Ok(());
    }
    if unit.cancel.is_cancelled() {
        return Err(Stopped);
    }
    if let Some(journal) = unit.journal
        && !journal.begun(node.level, node.entity.id, pre_run).await
    {
        return Err(Stopped);
    }
    run.running = Some(index);
    run.last = Some(index);
    let facts_before = run.produced.facts.len();
    let answer = call_contained(unit, run, index, step).await;
    let is_last = !pre_run || step_at(false).is_none();
    match answer {
        Ok(done) => take_over(unit, run, index, pre_run, is_last, done),
        Err(failure) => {
            fail(unit, run, index, failure);
            if unit.cancel.is_cancelled() {
                return Err(Stopped);
            }
            run.skip_below(unit, index);
        }
    }
    run.running = None;
    if let Some(journal) = unit.journal {
        let facts = run.produced.facts[facts_before..].iter();
        let facts = facts.map(|(_, _, key, value)| (key.clone(), value.clone()));
        if !journal.ended(pre_run, &run.results[index], facts.collect()).await {
            return Err(Stopped);
        }
    }
    Ok(())
}

/// Calls a step; a panic is a failure.
async fn call_contained(unit: &Unit<'_>, run: &UnitRun, index: usize, step: CycleStep) -> StepResult {
    let nodes = unit.tree.nodes();
    let mut above: Vec<(&Entity, &Value)> = Vec::new();
    let mut parent = nodes[index].parent;
    while let Some(at) = parent {
        above.push((&nodes[at].entity, &run.results[at].pre_run));
        parent = nodes[at].parent;
    }
    above.extend(unit.above.iter().rev().map(|(entity, value)| (entity, value)));
    above.reverse();
    let step_run = StepRun {
        element: unit.element,
        entity: &nodes[index].entity,
        above: &above,
        pre_run: if step.is_pre_run() {
            NULL
        } else {
            &run.results[index].pre_run
        },
        below: &run.results[unit.tree.below(index)],
        results: unit.results,
        entities: unit.entities,
        dry_run: unit.dry_run,
        arguments: unit.arguments,
        run_arguments: unit.run_arguments,
        cancel: unit.cancel,
        devices: unit.devices,
        children: unit.children,
    };
    let called = AssertUnwindSafe(call(unit.provider, step, &step_run)).catch_unwind();
    called.await.unwrap_or_else(|panic| {
        let message = format!("the provider panicked: {}", panic_text(&*panic));
        Err(StepFailure::new("crashed", message))
    })
}

async fn call(provider: &dyn Provider, step: CycleStep, run: &StepRun<'_>) -> StepResult {
    match step {
        CycleStep::PreRunGlobal => provider.pre_run_global(run),
        CycleStep::PreRunOnDeviceGroup => provider.pre_run_on_device_group(run),
        CycleStep::PreRunOnClientOfLocation => provider.pre_run_on_client_of_location(run),
        CycleStep::PreRunOnNornirDevice => provider.pre_run_on_nornir_device(run),
        CycleStep::PreRunOnDevice => provider.pre_run_on_device(run),
        CycleStep::PreRunOnInterface => provider.pre_run_on_interface(run),
        CycleStep::PreRunOnClientOfInterface => provider.pre_run_on_client_of_interface(run),
        CycleStep::RunOnClientOfInterface => provider.run_on_client_of_interface(run),
        CycleStep::RunOnInterface => provider.run_on_interface(run),
        CycleStep::RunOnDevice => provider.run_on_device(run),
        CycleStep::RunOnNornirDevice => provider.run_on_nornir_device(run),
        CycleStep::RunOnClientOfLocation => provider.run_on_client_of_location(run),
        CycleStep::RunOnDeviceGroup => provider.run_on_device_group(run),
        CycleStep::RunGlobal => provider.run_global(run),
        CycleStep::RunOnItem => provider.run_on_item(run),
    }
    .await
}

fn take_over(unit: &Unit<'_>, run: &mut UnitRun, index: usize, pre_run: bool, is_last: bool, done: StepDone) {
    let node = &unit.tree.nodes()[index];
    let result = &mut run.results[index];
    result.changed |= done.changed;
    if done.message.is_some() {
        result.message = done.message;
    }
    if pre_run {
        result.pre_run = done.data;
    } else {
        result.data = done.data;
    }
    if is_last {
        result.state = ElementState::Successful;
        let success = unit.provider.properties().success_message.clone();
        result.message = result.message.take().or_else(|| success.map(Cow::into_owned));
    }
    let (kind, id) = (node.level.entity_type(), node.entity.id);
    let facts = done.facts.into_iter();
    run.produced
        .facts
        .extend(facts.map(|(key, value)| (kind, id, key, value)));
    if node.level == Level::Global && pre_run {
        run.produced.items.extend(done.items);
    }
}

fn fail(unit: &Unit<'_>, run: &mut UnitRun, index: usize, failure: StepFailure) {
    run.parked = failure.parked;
    let result = &mut run.results[index];
    result.state = unit.role.failed(failure.state);
    result.reason = Some(failure.reason.into_owned());
    result.message = Some(failure.message);
    result.changed |= failure.changed;
    result.data = failure.data;
}
