//! One running element: its unit is read, its steps run, told to stop, and awaited for the grace time.

use std::sync::Arc;

use lockstep_execution::cycle::{
    Half, JournaledStep, PhaseRole, StagePlan, Stopped, Unit, UnitEnd, UnitRun, UnitTree, run_unit, unit_end,
};
use lockstep_execution::{
    CycleResult, CycleStep, ElementAttempt, Parked, Provider, Registry, Steps, or_empty,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::results::ElementFinished;
use lockstep_protocol::{ElementState, Level, Stage};
use lockstep_store::{
    CandidateElement, ElementEnd, ElementOwner, EntityResult, ExecutionRow, JsonText, ParkedElement, Parking,
    PlannedStage, StoreError, UnitEntities,
};
use serde_json::Value;

use super::ExecutionContext;
use super::children::Children;
use super::element_end::{Why, bounded, failed, goes_on_later, over_phases, produced, why};
use super::journal::{ElementJournal, JournalWriter, of_entry};
use super::phase::{TaskOfPhase, stage, stages, task_of_stage, tasks};
use super::running::Told;
use super::step_data::{StepData, of_row, read, to_row};
use super::unit::{above, is_simple, levels, not_leased, tree};
use crate::runtime::chain;

/// An element that this worker runs.
#[derive(Debug)]
pub(super) struct Element {
    pub(super) candidate: CandidateElement,
    pub(super) execution: Arc<ExecutionRow>,
    /// The provider of the phase.
    provider: Arc<dyn Provider>,
    plan: StagePlan,
    /// The stage in which it runs.
    stage: PlannedStage,
    /// The steps of the provider.
    steps: Steps,
}

/// What an attempt of an element is run with.
#[derive(Clone, Copy, Debug)]
pub(super) struct ElementRun<'a> {
    pub(super) context: &'a ExecutionContext,
    /// Tells it to stop.
    pub(super) told: &'a Told,
    pub(super) owner: ElementOwner,
    pub(super) journal: &'a JournalWriter,
}

/// What was read for an element before its steps run.
#[derive(Debug, Default)]
struct Read {
    entities: UnitEntities,
    /// The results of its entities in this phase and in earlier ones, ordered by phase.
    results: Vec<EntityResult>,
    /// The steps of an earlier attempt.
    journal: Vec<JournaledStep>,
}

impl Element {
    /// An element that was claimed. `None` if this process does not have its provider.
    pub(super) fn new(
        candidate: CandidateElement,
        execution: Arc<ExecutionRow>,
        registry: &Registry,
    ) -> Option<Self> {
        let stage = stage(&execution.request, candidate.stage)?;
        let task = task_of_stage(&execution.request, candidate.stage)?;
        let provider = registry.get(task.provider)?.clone();
        Some(Self {
            steps: provider.steps(&or_empty(task.arguments)),
            plan: stages(&execution.request),
            candidate,
            provider,
            stage,
            execution,
        })
    }

    /// The attempt that runs, from 1.
    pub(super) fn attempt(&self) -> u32 {
        self.candidate.attempts + 1
    }

    /// Runs the element to the end of its stage. `None` if it is left to whoever finds its lease expired.
    pub(super) async fn run(&self, on: ElementRun<'_>) -> Option<ElementEnd> {
        let ElementRun { context, told, .. } = on;
        let task = task_of_stage(&self.execution.request, self.candidate.stage)?;
        let read = match self.read(context, told).await {
            Ok(read) => read,
            Err(error) => {
                let unread = || {
                    failed(
                        task.role,
                        "store-refused",
                        format!("the store cannot be read: {}", chain(&error)),
                    )
                };
                return match told.why() {
                    None => Some(self.row(unread())),
                    // Nothing began.
                    Some(Why::Lost | Why::WorkerStops) => None,
                    Some(told) => {
                        let (reason, message) = why(told);
                        Some(self.row(failed(task.role, reason, message.to_owned())))
                    }
                };
            }
        };
        let tree = match tree(&self.candidate, &read.entities) {
            Ok(tree) => tree,
            Err(failure) => return Some(self.row(failed(task.role, &failure.reason, failure.message))),
        };
        self.run_tree(on, task, &tree, read).await
    }

    /// Reads what the steps need, until the element is told to stop.
    async fn read(&self, context: &ExecutionContext, told: &Told) -> Result<Read, StoreError> {
        let number = self.candidate.number;
        let mut found = Read::default();
        if !self.is_simple() {
            if let Some(levels) = levels(&self.candidate, self.steps, self.stage.phase) {
                found.entities = read(told.cancel(), || context.cycle.unit(number, levels)).await?;
            }
            // In its first stage it has no results.
            if self.plan.next(self.stage.stage, None) != Some(self.candidate.stage) {
                found.results = read(told.cancel(), || context.cycle.results_of(number)).await?;
            }
        }
        if !self.provider.properties().repeatable && self.candidate.attempts > 0 {
            let stage = self.candidate.stage;
            let journal = read(told.cancel(), || context.cycle.journal(number, stage)).await?;
            found.journal = journal.into_iter().map(of_entry).collect();
        }
        Ok(found)
    }

    async fn run_tree(
        &self,
        on: ElementRun<'_>,
        task: TaskOfPhase<'_>,
        tree: &UnitTree,
        read: Read,
    ) -> Option<ElementEnd> {
        let ElementRun { context, told, .. } = on;
        let request = &self.execution.request;
        let phase = self.stage.phase;
        let (earlier, so_far): (Vec<EntityResult>, Vec<EntityResult>) =
            read.results.into_iter().partition(|result| result.phase < phase);
        let so_far = so_far.into_iter().filter(|result| result.phase == phase);
        let left_out: Vec<CycleResult> = earlier.iter().cloned().map(of_row).collect();
        let mut run = UnitRun::begin(tree, so_far.map(of_row).collect(), &left_out);
        for index in not_leased(&self.candidate, tree) {
            run.results[index].state = ElementState::Filtered;
            run.results[index].reason = Some("not-leased".to_owned());
            run.results[index].message = Some("it came to its controller while the run began".to_owned());
        }
        let has_entry = !read.journal.is_empty();
        run.resume(task.role, read.journal);
        let data = StepData {
            cycle: &context.cycle,
            execution: self.execution.number,
            phase,
            cancel: told.cancel(),
        };
        let children = Children {
            context,
            execution: &self.execution,
            element: self.candidate.number,
            phase,
            cancel: told.cancel(),
        };
        let repeatable = self.provider.properties().repeatable;
        let element = (on.owner, self.candidate.number);
        let stage = (self.candidate.stage, phase);
        let journal = ElementJournal::new(on.journal, element, stage, has_entry);
        let journaled = !repeatable && self.has_several_steps(tree);
        let above = above(&self.candidate, &read.entities);
        let arguments = or_empty(task.arguments);
        let run_arguments = or_empty(task.run_arguments);
        let unit = Unit {
            element: ElementAttempt {
                element: self.candidate.number,
                execution: self.execution.number,
                attempt: self.attempt(),
                owner: on.owner.0,
            },
            provider: &*self.provider,
            steps: self.steps,
            role: task.role,
            tree,
            half: self.plan.half(self.candidate.stage),
            above: &above,
            dry_run: request.requested.dry_run,
            arguments: &arguments,
            run_arguments: &run_arguments,
            cancel: told.cancel(),
            devices: &*context.devices,
            children: Some(&children),
            entities: &data,
            results: &data,
            journal: journaled.then_some(&journal),
        };
        let stopped = drive(context, told, &unit, &mut run).await;
        match stopped {
            None => {}
            Some(Why::Lost | Why::WorkerStops) if repeatable => return None,
            Some(told @ (Why::Lost | Why::WorkerStops)) if journaled => {
                if let (Why::WorkerStops, Some(first)) = (told, run.results.first()) {
                    journal.keep(first).await;
                }
                return None;
            }
            Some(told) => {
                let (reason, message) = why(told);
                run.stop(&unit, reason, message);
            }
        }
        // A stage in which one step runs on one entity begins anew as if it had not begun.
        let may_park = self.is_simple() || tree.nodes().len() == 1 && !self.has_several_steps(tree);
        if let Some(parked) = run.parked.filter(|_| stopped.is_none() && may_park) {
            return Some(self.parked(&run, parked));
        }
        Some(self.end(run, unit.half, task, &earlier, stopped.is_some()))
    }

    /// The element waits, and begins anew later.
    fn parked(&self, run: &UnitRun, parked: Parked) -> ElementEnd {
        // A step that is not possible now fails, or leaves its entity alone.
        let left = |result: &&CycleResult| result.is_failed() || result.is_skipped();
        let left = run.results.iter().find(left);
        let waits = UnitEnd {
            reason: left.and_then(|left| left.reason.clone()),
            message: left.and_then(|left| left.message.clone()),
            ..goes_on_later()
        };
        let mut end = self.row(waits);
        match parked {
            Parked::Until {
                resume_at,
                expires_at,
            } => {
                end.parked = Some(Parking::Until(ParkedElement {
                    resume_at,
                    expires_at,
                }));
            }
            Parked::Ended { execution } => {
                end.parked = Some(Parking::Ended(execution));
                end.data = left.map_or(Value::Null, |left| left.data.clone()).into();
            }
        }
        bounded(end)
    }

    /// How the element ends its stage.
    fn end(
        &self,
        run: UnitRun,
        half: Half,
        task: TaskOfPhase<'_>,
        earlier: &[EntityResult],
        stopped: bool,
    ) -> ElementEnd {
        let of_phase = unit_end(&run.results, level(task.run_on), task.role);
        let goes_on = match (stopped, half) {
            (true, _) => false,
            (false, Half::PreRun) => run.goes_on(half),
            (false, Half::Run | Half::Both) => {
                matches!(
                    of_phase.state,
                    ElementState::Successful | ElementState::PartialFailed
                )
            }
        };
        let next = self.plan.next(self.stage.stage, Some(self.candidate.stage));
        let next = next.filter(|_| goes_on);
        let changed = earlier.iter().any(|result| result.changed) || of_phase.changed;
        let of_element = if next.is_some() {
            goes_on_later()
        } else {
            let mut ends = self.earlier_ends(earlier);
            ends.push((task.role, of_phase));
            over_phases(&ends)
        };
        let mut end = self.row(UnitEnd {
            changed,
            ..of_element
        });
        end.next = next;
        let (facts, checks, items) = produced(run.produced);
        end.facts = facts;
        end.checks = checks;
        end.items = if self.finds_items() { items } else { Vec::new() };
        let results = run.results.into_iter();
        let mut results: Vec<EntityResult> = results
            .filter(|result| self.steps.at(result.level))
            .map(|result| to_row(self.stage.phase, result))
            .collect();
        if self.is_simple() {
            let only = results.pop();
            let data = only.map_or(Value::Null, |only| {
                if only.data.is_null() {
                    only.pre_run
                } else {
                    only.data
                }
            });
            end.data = data.into();
        } else {
            end.results = results;
        }
        bounded(end)
    }
}

impl Element {
    /// Whether the next stage runs on what this one finds.
    fn finds_items(&self) -> bool {
        let next = self.plan.0.get(usize::from(self.candidate.stage) + 1);
        next.is_some_and(|next| next.stage == Stage::Items && next.phase == self.stage.phase)
    }

    fn is_simple(&self) -> bool {
        is_simple(&self.candidate, &self.plan, self.steps)
    }

    /// Whether more than one step runs on the entities of the tree in this stage.
    fn has_several_steps(&self, tree: &UnitTree) -> bool {
        let steps: Vec<Level> = self
            .steps
            .iter()
            .filter(|step| step.stage() == self.stage.stage)
            .map(CycleStep::level)
            .collect();
        let at = |level: Level| steps.iter().filter(|step| **step == level).count();
        tree.nodes().iter().map(|node| at(node.level)).sum::<usize>() > 1
    }

    /// How the element ended earlier phases, by the results of its entities.
    fn earlier_ends(&self, earlier: &[EntityResult]) -> Vec<(PhaseRole, UnitEnd)> {
        let tasks = (0..self.stage.phase).zip(tasks(&self.execution.request));
        let ends = tasks.filter_map(|(phase, task)| {
            let results = earlier.iter().filter(|result| result.phase == phase);
            let results: Vec<CycleResult> = results.cloned().map(of_row).collect();
            let end = unit_end(&results, level(task.run_on), task.role);
            (!results.is_empty()).then_some((task.role, end))
        });
        ends.collect()
    }

    /// The end as a row without results.
    fn row(&self, end: UnitEnd) -> ElementEnd {
        ElementEnd {
            number: self.candidate.number,
            attempt: self.attempt(),
            state: end.state,
            next: None,
            parked: None,
            reason: end.reason,
            message: end.message,
            changed: end.changed,
            data: JsonText::null(),
            results: Vec::new(),
            facts: Vec::new(),
            checks: Vec::new(),
            items: Vec::new(),
        }
    }

    /// The result about its end. `None` if it goes on in a later stage, or is parked.
    pub(super) fn finished(&self, end: &ElementEnd) -> Option<ElementFinished> {
        let candidate = &self.candidate;
        Some(ElementFinished {
            execution: self.execution.id,
            entity_type: candidate.entity_type,
            entity: candidate.entity,
            hostname: candidate.device.as_ref().map(|device| device.hostname.clone()),
            state: end.state,
            outcome: end.state.outcome()?,
            reason: end.reason.clone(),
            message: end.message.clone(),
            changed: end.changed,
            diff: None,
            change_score: None,
        })
    }
}

/// Runs the steps of a unit. Returns why they stopped before the last one, if they did.
async fn drive(context: &ExecutionContext, told: &Told, unit: &Unit<'_>, run: &mut UnitRun) -> Option<Why> {
    let options = &context.options;
    let running = run_unit(unit, run);
    tokio::pin!(running);
    let ended = tokio::select! {
        biased;
        ended = running.as_mut() => Some(ended),
        () = told.cancel().cancelled() => None,
        () = tokio::time::sleep(options.element_timeout) => {
            told.tell(Why::TimedOut);
            None
        }
    };
    let ended = match ended {
        Some(ended) => Some(ended),
        None => tokio::time::timeout(options.stop_grace, running).await.ok(),
    };
    match ended {
        Some(Ok(())) => None,
        // Without a reason, the journal said that the element belongs to another worker.
        Some(Err(Stopped)) | None => Some(told.why().unwrap_or(Why::Lost)),
    }
}

/// The level of the entities that a task runs on.
pub(super) fn level(run_on: ExecuteOn) -> Level {
    match run_on {
        ExecuteOn::Global => Level::Global,
        ExecuteOn::Group => Level::Group,
        ExecuteOn::Device => Level::Device,
        ExecuteOn::Interface => Level::Interface,
        ExecuteOn::Client => Level::InterfaceClient,
    }
}
