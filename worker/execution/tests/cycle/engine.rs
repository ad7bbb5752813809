//! Runs all stages of an execution in one process: what workers and the store do together.

use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_execution::cycle::{
    Phase, PhaseRole, Produced, Results, StagePlan, Stopped, Unit, UnitRun, UnitTree, run_unit, unit_end,
};
use lockstep_execution::fake::{EmptyStore, NoDevices};
use lockstep_execution::{
    Counts, CycleResult, ElementAttempt, Entity, Event, Progress, StageProgress, Step, next,
};
use lockstep_protocol::{ElementOutcome, ElementState, ExecutionState, Level};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fleet::{FleetUnit, entity, fleet};
use crate::recorder::Recorder;

pub(crate) const NULL: &Value = &Value::Null;

/// A unit of a provider alone.
pub(crate) fn unit<'a>(
    provider: &'a Recorder,
    tree: &'a UnitTree,
    cancel: &'a CancellationToken,
    arguments: &'a Value,
) -> Unit<'a> {
    Unit {
        element: ElementAttempt::default(),
        provider,
        steps: provider.steps,
        role: PhaseRole::Main,
        tree,
        half: lockstep_execution::cycle::Half::Both,
        above: &[],
        dry_run: true,
        arguments,
        run_arguments: NULL,
        cancel,
        devices: &NoDevices,
        children: None,
        entities: &EmptyStore,
        results: &EmptyStore,
        journal: None,
    }
}

/// A provider and what its phase is for.
pub(crate) type Planned<'a> = (&'a Recorder, PhaseRole);

/// What an execution came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) state: ExecutionState,
    /// The results of each phase, by the names of the entities; `NORNIR_DEVICE` and its device are told apart by the level.
    pub(crate) results: Vec<BTreeMap<(Level, String), CycleResult>>,
    /// How the elements ended, by their names.
    pub(crate) ends: BTreeMap<String, ElementState>,
    pub(crate) produced: Produced,
}

impl Ran {
    /// The state of an entity in a phase.
    pub(crate) fn state(&self, phase: usize, level: Level, name: &str) -> ElementState {
        self.results[phase][&(level, name.to_owned())].state
    }
}

/// Runs an execution over the fleet.
pub(crate) async fn execute(phases: &[Planned<'_>]) -> Ran {
    let planned: Vec<Phase> = phases
        .iter()
        .map(|(provider, role)| Phase {
            role: *role,
            steps: provider.steps,
        })
        .collect();
    let plan = StagePlan::of(&planned);
    let main = phases
        .iter()
        .position(|(_, role)| *role == PhaseRole::Main)
        .unwrap_or(0);
    let takes_part = |unit: &FleetUnit| plan.next(unit.stage, None);
    let units: Vec<FleetUnit> = fleet()
        .into_iter()
        .filter(|unit| takes_part(unit).is_some())
        .collect();
    let mut stages: Vec<Option<u16>> = units.iter().map(takes_part).collect();
    let mut ran = Ran {
        state: ExecutionState::Running,
        results: vec![BTreeMap::new(); phases.len()],
        ends: BTreeMap::new(),
        produced: Produced::default(),
    };
    let mut progress = Progress {
        state: ExecutionState::Running,
        counts: Counts {
            elements: units.len() as u64,
            ..Counts::default()
        },
        limits: lockstep_protocol::commands::RunLimits::default(),
        paused: false,
        in_canary: false,
        parked: 0,
        halt: None,
        reason: None,
        plan: plan.clone(),
        main: u8::try_from(main).expect("there are few phases"),
        stage: StageProgress {
            elements: stages.iter().filter(|stage| **stage == Some(0)).count() as u64,
            ..StageProgress::default()
        },
    };
    let mut events = vec![Event::Started];
    while let Some(event) = events.pop() {
        let (after, steps) = next(&progress, &event);
        progress = after;
        for step in steps {
            match step {
                Step::BeginStage { stage } => {
                    let elements = stages.iter().filter(|next| **next == Some(stage)).count() as u64;
                    events.push(Event::StageBegun { elements });
                }
                Step::SkipUnstarted => {
                    let open = stages.iter_mut().zip(&units);
                    let mut skipped = 0;
                    for (stage, unit) in open.filter(|(stage, _)| stage.is_some()) {
                        *stage = None;
                        skipped += 1;
                        let name = unit.tree.nodes()[0].entity.name.clone();
                        ran.ends.insert(name, ElementState::Filtered);
                    }
                    events.push(ended(0, 0, skipped, 0));
                }
                Step::Halt { .. } | Step::End { .. } => {}
                step => panic!("{step:?}"),
            }
        }
        let index = progress.stage.index;
        let mut run = |at: usize| -> Option<usize> { (stages[at] == Some(index)).then_some(at) };
        if events.is_empty()
            && !progress.state.is_final()
            && let Some(at) = (0..units.len()).find_map(&mut run)
        {
            let (end, go_on) = run_element(phases, &plan, index, &units[at], &mut ran).await;
            stages[at] = go_on;
            events.push(match (go_on, end.outcome()) {
                (Some(_), _) => ended(0, 0, 0, 1),
                (None, Some(ElementOutcome::Done)) => ended(1, 0, 0, 0),
                (None, Some(ElementOutcome::Failed)) => ended(0, 1, 0, 0),
                (None, Some(ElementOutcome::Skipped)) => ended(0, 0, 1, 0),
                (None, None) => panic!("{end}"),
            });
            if go_on.is_none() {
                let name = units[at].tree.nodes()[0].entity.name.clone();
                ran.ends.insert(name, end);
            }
        }
    }
    ran.state = progress.state;
    ran
}

fn ended(done: u64, failed: u64, skipped: u64, passed: u64) -> Event {
    Event::ElementsEnded {
        done,
        failed,
        skipped,
        passed,
        partly_failed: 0,
        added: 0,
    }
}

/// Runs a stage of an element. Returns its state, and the stage in which it goes on.
async fn run_element(
    phases: &[Planned<'_>],
    plan: &StagePlan,
    index: u16,
    unit: &FleetUnit,
    ran: &mut Ran,
) -> (ElementState, Option<u16>) {
    let planned = plan.0[usize::from(index)];
    let phase = usize::from(planned.phase);
    let (provider, role) = phases[phase];
    let of = |results: &BTreeMap<(Level, String), CycleResult>| -> Vec<CycleResult> {
        let nodes = unit.tree.nodes().iter();
        let found = nodes.filter_map(|node| results.get(&(node.level, node.entity.name.clone())));
        found.cloned().collect()
    };
    let earlier: Vec<CycleResult> = ran.results[..phase].iter().flat_map(of).collect();
    let mut run = UnitRun::begin(&unit.tree, of(&ran.results[phase]), &earlier);
    let above: Vec<(Entity, Value)> = above(unit)
        .into_iter()
        .map(|entity| {
            let result = ran.results[phase].get(&(entity.level, entity.name.clone()));
            let value = result.map_or(Value::Null, |result| result.pre_run.clone());
            (entity, value)
        })
        .collect();
    let stored = Stored(Mutex::new(ran.results[phase].values().cloned().collect()));
    let cancel = CancellationToken::new();
    let half = plan.half(index);
    let (arguments, run_arguments) = (json!({"of": "the task"}), json!({"of": "the run"}));
    let whole = Unit {
        role,
        half,
        above: &above,
        results: &stored,
        run_arguments: &run_arguments,
        ..crate::engine::unit(provider, &unit.tree, &cancel, &arguments)
    };
    let outcome: Result<(), Stopped> = run_unit(&whole, &mut run).await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(run.running, None);
    let end = unit_end(&run.results, Level::Device, role).state;
    let goes_on = run.goes_on(half);
    for result in run.results {
        if provider.steps.at(result.level) {
            ran.results[phase].insert((result.level, result.name.clone()), result);
        }
    }
    ran.produced.facts.extend(run.produced.facts);
    ran.produced.checks.extend(run.produced.checks);
    let is_partly_done = matches!(end, ElementState::Successful | ElementState::PartialFailed);
    let later = plan.next(unit.stage, Some(index));
    (end, later.filter(|_| goes_on || is_partly_done))
}

fn above(unit: &FleetUnit) -> Vec<Entity> {
    let groups = crate::fleet::GROUPS.into_iter();
    let groups = groups.filter(|(name, _)| unit.groups.contains(name));
    let groups = groups.map(|(name, id)| entity(Level::Group, id, name));
    let fleet = entity(Level::Global, 0, "fleet");
    match unit.tree.nodes()[0].level {
        Level::Global => Vec::new(),
        Level::Group => vec![fleet],
        _ => std::iter::once(fleet).chain(groups).collect(),
    }
}

/// The results of earlier stages, in pages of two.
#[derive(Debug)]
struct Stored(Mutex<Vec<CycleResult>>);

#[async_trait]
impl Results for Stored {
    async fn page(
        &self,
        level: Level,
        _: Option<u64>,
        after: Option<u64>,
    ) -> Result<Vec<CycleResult>, String> {
        let mut found = self.0.lock().expect("nobody panics while it holds it").clone();
        found.retain(|result| result.level == level && Some(result.entity) > after);
        found.sort_by_key(|result| result.entity);
        found.truncate(2);
        Ok(found)
    }
}
