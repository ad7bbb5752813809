//! A provider whose behaviour on each device the test says, and which records what ran.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lockstep_execution::{
    CycleStep, Parked, Provider, ProviderProperties, ProviderType, StepDone, StepFailure, StepRun, Steps,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use serde_json::{Value, json};
use tokio::sync::Notify;
use uuid::Uuid;

/// What the provider does on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Act {
    /// It is done after this time.
    Done(Duration),
    #[default]
    /// It is done at once.
    Now,
    /// It fails.
    Fail,
    /// It panics.
    Panic,
    /// It hangs, and ends when it is told to.
    Wait,
    /// It hangs, and does not listen.
    Hang,
    /// It returns more than is kept.
    Flood,
    /// It waits until the test opens the gate, and does not listen meanwhile.
    Gate,
    /// As `Gate`; the test may write about the element meanwhile.
    Report,
    /// It is not possible now: it is parked for the first time, and skipped after the second.
    Park(Duration, Duration),
}

/// What ran, over all workers.
#[derive(Debug, Default)]
pub(crate) struct Script {
    acts: Mutex<BTreeMap<String, Act>>,
    runs: Mutex<Runs>,
    owners: Mutex<BTreeMap<String, Uuid>>,
    pub(crate) gate: Notify,
}

#[derive(Debug, Default)]
struct Runs {
    /// How often it began, by device.
    begun: BTreeMap<String, usize>,
    running: BTreeMap<String, usize>,
    most: usize,
    /// The devices on which two ran at once.
    twice: Vec<String>,
}

impl Script {
    pub(crate) fn set(&self, hostname: &str, act: Act) {
        self.acts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(hostname.to_owned(), act);
    }

    /// The worker's session that runs it on a device.
    pub(crate) fn owner(&self, hostname: &str) -> Option<Uuid> {
        self.owners().get(hostname).copied()
    }

    fn owners(&self) -> MutexGuard<'_, BTreeMap<String, Uuid>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often it began on all devices together.
    pub(crate) fn begun_in_all(&self) -> usize {
        self.runs().begun.values().sum()
    }

    /// How many run now.
    pub(crate) fn running(&self) -> usize {
        self.runs().running.values().sum()
    }

    /// The most that ran at once.
    pub(crate) fn most(&self) -> usize {
        self.runs().most
    }

    /// The devices on which two ran at once.
    pub(crate) fn twice(&self) -> Vec<String> {
        self.runs().twice.clone()
    }

    fn runs(&self) -> MutexGuard<'_, Runs> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(self: &Arc<Self>, hostname: &str) -> UnderWay {
        let mut runs = self.runs();
        *runs.begun.entry(hostname.to_owned()).or_default() += 1;
        let running = runs.running.entry(hostname.to_owned()).or_default();
        *running += 1;
        let twice = *running > 1;
        if twice {
            runs.twice.push(hostname.to_owned());
        }
        let now = runs.running.values().sum();
        runs.most = runs.most.max(now);
        UnderWay(self.clone(), hostname.to_owned())
    }
}

/// A run that counts as long as this lives.
struct UnderWay(Arc<Script>, String);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(running) = self.0.runs().running.get_mut(&self.1) {
            *running -= 1;
        }
    }
}

/// The provider of the tests.
#[derive(Debug)]
pub(crate) struct Scripted {
    properties: ProviderProperties,
    script: Arc<Script>,
}

impl Scripted {
    pub(crate) fn new(name: &'static str, repeatable: bool, script: Arc<Script>) -> Self {
        Self {
            properties: ProviderProperties {
                name: name.into(),
                short_description: "does what the test says".into(),
                description: "does what the test says".into(),
                provider_type: ProviderType::Check,
                run_on: Some(ExecuteOn::Device),
                run_on_strict: false,
                run_on_all_if_empty: true,
                run_on_result: None,
                facts_for: Vec::new(),
                lane: Lane::Devices,
                success_message: Some("as the test says".into()),
                repeatable,
                deprecated: None,
                ui_schema: None,
                run_input_ui_schema: None,
                json_schema: json!({"type": "object"}),
                run_input_json_schema: json!({"type": "object", "properties": {"count": {"type": "integer"}}}),
            },
            script,
        }
    }
}

#[async_trait]
impl Provider for Scripted {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, run: &StepRun<'_>) -> Result<StepDone, StepFailure> {
        let hostname = run.entity.name.as_str();
        let _under_way = self.script.begin(hostname);
        let act = self
            .script
            .acts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(hostname)
            .copied()
            .unwrap_or_default();
        let mut data = json!({"count": run.run_arguments["count"], "diff": "+ x", "change_score": 7.2});
        match act {
            Act::Now => {}
            Act::Done(time) => tokio::time::sleep(time).await,
            Act::Fail => return Err(StepFailure::new("refused", "the device refused it")),
            Act::Panic => panic!("on purpose"),
            Act::Wait => {
                run.cancel.cancelled().await;
                return Err(StepFailure::new("told", "it was told to stop"));
            }
            Act::Hang => std::future::pending().await,
            Act::Flood => data = "x".repeat(17 * 1024 * 1024).into(),
            Act::Gate => self.script.gate.notified().await,
            Act::Report => {
                self.script
                    .owners()
                    .insert(hostname.to_owned(), run.element.owner);
                self.script.gate.notified().await;
            }
            Act::Park(resume, expires) => {
                let now = crate::scene::now();
                return Err(StepFailure {
                    parked: Some(Parked::Until {
                        resume_at: now + resume,
                        expires_at: now + expires,
                    }),
                    ..StepFailure::new("frozen", "a freeze window is open")
                });
            }
        }
        Ok(StepDone {
            data,
            facts: vec![("seen".to_owned(), true.into())],
            ..StepDone::default()
        })
    }
}
