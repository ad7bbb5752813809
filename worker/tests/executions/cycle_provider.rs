//! A provider with all fourteen steps, or with those that the arguments of a task list. The test says what each step does, and reads what
//! ran.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use async_trait::async_trait;
use lockstep_execution::cycle::Results;
use lockstep_execution::{
    CycleStep, Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepResult, StepRun, Steps,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{ElementState, Level};
use lockstep_testbed::wait;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::scene::PATIENCE;

/// What a step does on an entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepAct {
    /// It fails.
    Fail,
    /// It panics.
    Panic,
    /// It hangs, and ends when it is told to.
    Wait,
    /// It hangs, and does not listen.
    Hang,
    /// It waits until the test opens the gate.
    Gate,
}

/// A step that began.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ran {
    /// The number of the worker.
    pub(crate) worker: usize,
    pub(crate) step: CycleStep,
    /// The task, by its argument `tag`.
    pub(crate) tag: String,
    pub(crate) entity: String,
    /// What its pre-run step returned.
    pub(crate) pre_run: Value,
    /// The entities above it, with their pre-run results.
    pub(crate) above: Vec<(Level, String, Value)>,
    /// The results below it in the same unit.
    pub(crate) below: Vec<(Level, String, ElementState)>,
    /// For steps of groups and of the fleet: the results of earlier stages at the levels of devices and groups.
    pub(crate) results: Vec<(Level, String, ElementState)>,
    /// Whether it ended by itself.
    pub(crate) ended: bool,
}

/// What ran, over all workers.
#[derive(Debug)]
pub(crate) struct CycleScript {
    acts: Mutex<BTreeMap<(CycleStep, String), StepAct>>,
    ran: Mutex<Vec<Ran>>,
    /// How many steps may pass the gate.
    gate: watch::Sender<usize>,
    passed: AtomicUsize,
}

impl Default for CycleScript {
    fn default() -> Self {
        Self {
            acts: Mutex::default(),
            ran: Mutex::default(),
            gate: watch::channel(0).0,
            passed: AtomicUsize::new(0),
        }
    }
}

impl CycleScript {
    /// A step does this on the entity with this name; `tag/name` is about the task with this tag only.
    pub(crate) fn set(&self, step: CycleStep, entity: &str, act: StepAct) {
        lock(&self.acts).insert((step, entity.to_owned()), act);
    }

    /// All steps are done at once.
    pub(crate) fn clear(&self) {
        lock(&self.acts).clear();
    }

    /// All steps pass the gate from now on.
    pub(crate) fn open_gate(&self) {
        self.gate.send_replace(usize::MAX);
    }

    /// One more step passes the gate.
    pub(crate) fn open_gate_once(&self) {
        self.gate.send_modify(|open| *open += 1);
    }

    /// Waits until a step began on an entity.
    pub(crate) async fn begun(&self, step: CycleStep, entity: &str) -> Result<()> {
        wait::until("a step that began", PATIENCE, async || {
            let ran = self.entities(step);
            if ran.iter().any(|ran| ran == entity) {
                Ok(())
            } else {
                Err(format!("{ran:?}"))
            }
        })
        .await?;
        Ok(())
    }

    /// The steps that began more than once on the same entity for the same task.
    pub(crate) fn repeated(&self) -> Vec<(CycleStep, String)> {
        let mut seen = BTreeSet::new();
        let ran = self.ran().into_iter();
        let twice = ran.filter(|ran| !seen.insert((ran.step, ran.tag.clone(), ran.entity.clone())));
        twice.map(|ran| (ran.step, ran.entity)).collect()
    }

    /// The steps that began, in their order.
    pub(crate) fn ran(&self) -> Vec<Ran> {
        lock(&self.ran).clone()
    }

    /// The entities on which a step ran, in their order.
    pub(crate) fn entities(&self, step: CycleStep) -> Vec<String> {
        let ran = self.ran().into_iter().filter(|ran| ran.step == step);
        ran.map(|ran| ran.entity).collect()
    }

    /// The same, sorted.
    pub(crate) fn sorted(&self, step: CycleStep) -> Vec<String> {
        let mut entities = self.entities(step);
        entities.sort();
        entities
    }

    fn act(&self, step: CycleStep, entity: &str) -> Option<StepAct> {
        lock(&self.acts).get(&(step, entity.to_owned())).copied()
    }

    fn begin(&self, ran: Ran) -> usize {
        let mut all = lock(&self.ran);
        all.push(ran);
        all.len() - 1
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The provider of the tests of the run cycle, on one worker.
#[derive(Debug)]
pub(crate) struct Cycle {
    properties: ProviderProperties,
    script: Arc<CycleScript>,
    worker: usize,
}

impl Cycle {
    /// Arguments of a task: `steps` (numbers; 15 is that of items), `run_on`, and `tag`.
    pub(crate) fn new(name: &'static str, repeatable: bool, script: Arc<CycleScript>, worker: usize) -> Self {
        Self {
            properties: ProviderProperties {
                name: name.into(),
                short_description: "records its steps".into(),
                description: "records its steps".into(),
                provider_type: ProviderType::Execute,
                run_on: None,
                run_on_strict: false,
                run_on_all_if_empty: true,
                run_on_result: None,
                facts_for: Vec::new(),
                lane: Lane::Devices,
                success_message: None,
                repeatable,
                deprecated: None,
                ui_schema: None,
                run_input_ui_schema: None,
                json_schema: json!({"type": "object"}),
                run_input_json_schema: json!({"type": "object"}),
            },
            script,
            worker,
        }
    }

    async fn step(&self, step: CycleStep, run: &StepRun<'_>) -> StepResult {
        let name = &*name_with_device(run);
        let index = self.script.begin(Ran {
            worker: self.worker,
            step,
            tag: run.arguments["tag"].as_str().unwrap_or_default().to_owned(),
            entity: name.to_owned(),
            pre_run: run.pre_run.clone(),
            above: run
                .above
                .iter()
                .map(|(entity, pre_run)| (entity.level, entity.name.clone(), (*pre_run).clone()))
                .collect(),
            below: run
                .below
                .iter()
                .map(|result| (result.level, result.name.clone(), result.state))
                .collect(),
            results: match step {
                CycleStep::RunOnDeviceGroup => pages(run.results, Some(run.entity.id)).await,
                CycleStep::RunGlobal => pages(run.results, None).await,
                _ => Vec::new(),
            },
            ended: false,
        });
        let tag = run.arguments["tag"].as_str().unwrap_or_default();
        let act = self.script.act(step, &format!("{tag}/{name}"));
        let act = act.or_else(|| self.script.act(step, name));
        match act {
            None => {}
            Some(StepAct::Fail) => {
                return Err(StepFailure::new(
                    "on-purpose",
                    format!("{} failed", step.as_str()),
                ));
            }
            Some(StepAct::Panic) => panic!("on purpose"),
            Some(StepAct::Wait) => {
                run.cancel.cancelled().await;
                return Err(StepFailure::new("told", "it was told to stop"));
            }
            Some(StepAct::Hang) => std::future::pending().await,
            Some(StepAct::Gate) => {
                let mut gate = self.script.gate.subscribe();
                let place = self.script.passed.fetch_add(1, Ordering::SeqCst);
                let _ = gate.wait_for(|open| *open > place).await;
            }
        }
        if let Some(ran) = lock(&self.script.ran).get_mut(index) {
            ran.ended = true;
        }
        let items = run.arguments["items"].as_array().into_iter().flatten();
        let items = items.filter_map(|item| Some((item.as_str()?.to_owned(), json!({"of": item}))));
        Ok(StepDone {
            data: json!({"step": step.number(), "on": name}),
            items: items.collect(),
            ..StepDone::default()
        })
    }
}

/// The name of an interface with its device, as elements and requests name it.
fn name_with_device(run: &StepRun<'_>) -> String {
    match (run.entity.level, run.at(Level::Device)) {
        (Level::Interface, Some((device, _))) => format!("{} {}", device.name, run.entity.name),
        _ => run.entity.name.clone(),
    }
}

/// All results of earlier stages, of devices of the group or of all.
async fn pages(results: &dyn Results, group: Option<u64>) -> Vec<(Level, String, ElementState)> {
    let mut all = Vec::new();
    let levels = [Level::Item, Level::Group, Level::NornirDevice, Level::Device];
    for level in levels
        .into_iter()
        .filter(|level| group.is_none() || *level != Level::Group)
    {
        let mut after = None;
        loop {
            let page = results
                .page(level, group, after)
                .await
                .expect("the store can be read");
            let Some(last) = page.last() else { break };
            after = Some(last.entity);
            all.extend(page.into_iter().map(|result| (level, result.name, result.state)));
        }
    }
    all
}

macro_rules! record {
    ($($step:ident $method:ident,)*) => {
        #[async_trait]
        impl Provider for Cycle {
            fn properties(&self) -> &ProviderProperties {
                &self.properties
            }

            fn run_on(&self, arguments: &Value) -> Result<ExecuteOn, String> {
                match &arguments["run_on"] {
                    Value::Null => Ok(ExecuteOn::Device),
                    kind => serde_json::from_value(kind.clone()).map_err(|error| error.to_string()),
                }
            }

            fn steps(&self, arguments: &Value) -> Steps {
                match arguments["steps"].as_array() {
                    None => CycleStep::ALL.into_iter().filter(|step| *step != CycleStep::RunOnItem).collect(),
                    Some(numbers) => numbers.iter().filter_map(|number| step_of(number.as_u64()?)).collect(),
                }
            }

            $(
                async fn $method(&self, run: &StepRun<'_>) -> StepResult {
                    self.step(CycleStep::$step, run).await
                }
            )*
        }
    };
}

fn step_of(number: u64) -> Option<CycleStep> {
    let index = usize::try_from(number).ok()?.checked_sub(1)?;
    CycleStep::ALL.get(index).copied()
}

record!(
    PreRunGlobal pre_run_global,
    PreRunOnDeviceGroup pre_run_on_device_group,
    PreRunOnClientOfLocation pre_run_on_client_of_location,
    PreRunOnNornirDevice pre_run_on_nornir_device,
    PreRunOnDevice pre_run_on_device,
    PreRunOnInterface pre_run_on_interface,
    PreRunOnClientOfInterface pre_run_on_client_of_interface,
    RunOnClientOfInterface run_on_client_of_interface,
    RunOnInterface run_on_interface,
    RunOnDevice run_on_device,
    RunOnNornirDevice run_on_nornir_device,
    RunOnClientOfLocation run_on_client_of_location,
    RunOnDeviceGroup run_on_device_group,
    RunGlobal run_global,
    RunOnItem run_on_item,
);
