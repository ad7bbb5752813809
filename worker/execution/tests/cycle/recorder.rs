use std::collections::BTreeMap;
use std::sync::Mutex;

use async_trait::async_trait;
use lockstep_execution::cycle::{Produced, process_by_type};
use lockstep_execution::{
    CycleResult, CycleStep, Entity, Provider, ProviderProperties, ProviderType, StepDone, StepFailure,
    StepResult, StepRun, Steps,
};
use lockstep_protocol::ElementState;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A step on an entity, by its number and the name of the entity.
pub(crate) type Called = (u8, String);

/// A call of a step, with what it was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) step: CycleStep,
    pub(crate) entity: Entity,
    /// Names and pre-run results.
    pub(crate) above: Vec<(String, Value)>,
    pub(crate) pre_run: Value,
    pub(crate) below: Vec<CycleResult>,
    pub(crate) dry_run: bool,
    pub(crate) arguments: Value,
    pub(crate) run_arguments: Value,
}

/// What a step does instead of succeeding.
#[derive(Clone, Debug)]
pub(crate) enum Behaviour {
    Fails,
    /// Leaves its entity alone.
    Skips,
    Panics,
    /// Connects to the device first.
    Connects,
    /// Fires the token, and succeeds or fails.
    Cancels(CancellationToken, bool),
    Returns(StepDone),
}

/// A provider that records its calls.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) properties: ProviderProperties,
    pub(crate) steps: Steps,
    pub(crate) behaviours: BTreeMap<Called, Behaviour>,
    pub(crate) calls: Mutex<Vec<Call>>,
    /// The names of the entities whose results were processed, with the names below.
    pub(crate) processed: Mutex<Vec<(String, Vec<String>)>>,
}

impl Recorder {
    pub(crate) fn of(provider_type: ProviderType, run_on: ExecuteOn, steps: &[u8]) -> Self {
        let steps = steps.iter().filter_map(|number| match number {
            0 => Some(CycleStep::RunOnItem),
            number => CycleStep::of_number(*number),
        });
        Self {
            properties: ProviderProperties {
                name: "recorder".into(),
                short_description: "".into(),
                description: "".into(),
                provider_type,
                run_on: Some(run_on),
                run_on_strict: false,
                run_on_all_if_empty: true,
                run_on_result: None,
                facts_for: Vec::new(),
                lane: Lane::Devices,
                success_message: Some("fine".into()),
                repeatable: true,
                deprecated: None,
                ui_schema: None,
                run_input_ui_schema: None,
                json_schema: json!({}),
                run_input_json_schema: json!({}),
            },
            steps: steps.collect(),
            behaviours: BTreeMap::new(),
            calls: Mutex::default(),
            processed: Mutex::default(),
        }
    }

    /// One with all fourteen steps.
    pub(crate) fn of_fourteen() -> Self {
        let all: Vec<u8> = (1..=14).collect();
        Self::of(ProviderType::Execute, ExecuteOn::Device, &all)
    }

    pub(crate) fn with(mut self, step: u8, entity: &str, behaviour: Behaviour) -> Self {
        self.behaviours.insert((step, entity.to_owned()), behaviour);
        self
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls
            .lock()
            .expect("nobody panics while it holds it")
            .clone()
    }

    pub(crate) fn called(&self) -> Vec<Called> {
        let calls = self.calls();
        let called = calls
            .iter()
            .map(|call| (call.step.number().unwrap_or(0), call.entity.name.clone()));
        called.collect()
    }

    fn connects(&self, step: CycleStep, run: &StepRun<'_>) -> bool {
        let called = (step.number().unwrap_or(0), run.entity.name.clone());
        matches!(self.behaviours.get(&called), Some(Behaviour::Connects))
    }

    fn call(&self, step: CycleStep, run: &StepRun<'_>) -> StepResult {
        let above = run.above.iter();
        self.calls
            .lock()
            .expect("nobody panics while it holds it")
            .push(Call {
                step,
                entity: run.entity.clone(),
                above: above
                    .map(|(entity, value)| (entity.name.clone(), (*value).clone()))
                    .collect(),
                pre_run: run.pre_run.clone(),
                below: run.below.to_vec(),
                dry_run: run.dry_run,
                arguments: run.arguments.clone(),
                run_arguments: run.run_arguments.clone(),
            });
        let number = step.number().unwrap_or(0);
        let done = StepDone {
            data: format!("{number} {}", run.entity.name).into(),
            ..StepDone::default()
        };
        let failure = || {
            Err(StepFailure {
                changed: true,
                data: "so far".into(),
                ..StepFailure::new("broken", "it broke")
            })
        };
        match self.behaviours.get(&(number, run.entity.name.clone())) {
            None | Some(Behaviour::Connects) => Ok(done),
            Some(Behaviour::Returns(done)) => Ok(done.clone()),
            Some(Behaviour::Fails) => failure(),
            Some(Behaviour::Skips) => Err(StepFailure {
                state: ElementState::Filtered,
                ..StepFailure::new("not-needed", "it was left alone")
            }),
            Some(Behaviour::Panics) => panic!("oh"),
            Some(Behaviour::Cancels(token, succeeds)) => {
                token.cancel();
                if *succeeds { Ok(done) } else { failure() }
            }
        }
    }
}

macro_rules! steps {
    ($($method:ident $step:ident,)*) => {
        #[async_trait]
        impl Provider for Recorder {
            fn properties(&self) -> &ProviderProperties {
                &self.properties
            }

            fn steps(&self, _arguments: &Value) -> Steps {
                self.steps
            }

            $(
                async fn $method(&self, run: &StepRun<'_>) -> StepResult {
                    if self.connects(CycleStep::$step, run) {
                        run.connect().await?;
                    }
                    self.call(CycleStep::$step, run)
                }
            )*

            fn process_result(
                &self,
                arguments: &Value,
                result: &mut CycleResult,
                below: &[CycleResult],
                produced: &mut Produced,
            ) {
                let names = below.iter().map(|below| below.name.clone()).collect();
                self.processed.lock().expect("nobody panics while it holds it").push((result.name.clone(), names));
                if result.data == json!("panics when it is processed") {
                    panic!("oh");
                }
                process_by_type(self, arguments, result, produced);
            }
        }
    };
}

steps!(
    pre_run_global PreRunGlobal,
    pre_run_on_device_group PreRunOnDeviceGroup,
    pre_run_on_client_of_location PreRunOnClientOfLocation,
    pre_run_on_nornir_device PreRunOnNornirDevice,
    pre_run_on_device PreRunOnDevice,
    pre_run_on_interface PreRunOnInterface,
    pre_run_on_client_of_interface PreRunOnClientOfInterface,
    run_on_client_of_interface RunOnClientOfInterface,
    run_on_interface RunOnInterface,
    run_on_device RunOnDevice,
    run_on_nornir_device RunOnNornirDevice,
    run_on_client_of_location RunOnClientOfLocation,
    run_on_device_group RunOnDeviceGroup,
    run_global RunGlobal,
    run_on_item RunOnItem,
);
