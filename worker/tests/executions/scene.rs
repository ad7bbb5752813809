//! A bus, a database and a fleet; requests and their results.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Outgoing, Properties};
use lockstep_clock::{Clock, SystemClock};
use lockstep_execution::Registry;
use lockstep_execution::providers::Workflow;
use lockstep_protocol::commands::{ExecuteOn, RunLimits, TaskRequested, TaskSaveRequested};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::results::{ElementFinished, ExecutionFinished, MessageRejected};
use lockstep_protocol::topology::{Destination, Lane, Queue, Topology};
use lockstep_protocol::{
    DeviceState, DeviceType, EntityType, Envelope, GroupName, Hostname, Identity, Kind, Level, Message,
    MessageId, Source, Stage, WorkResult,
};
use lockstep_store::{
    Attributes, DeviceEffect, Effects, ElementQuery, ElementRow, EntityResult, EntityResultQuery,
    ExecutionReference, ExecutionRow, GroupRow, Keys, Origin,
};
use lockstep_testbed::wait;
use lockstep_worker::executions::ExecutionOptions;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::cycle_provider::{Cycle, CycleScript};
use crate::provider::{Script, Scripted};
use crate::store::{Database, Ground, Store};
use crate::worker::Worker;

/// Timeout of waits that usually take a moment; long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// Retry delays are a thousandth of the real ones.
const RETRY_DELAY_SCALE: f64 = 0.001;

pub(crate) struct Scene {
    _folder: TempDir,
    pub(crate) bus: Arc<dyn Bus>,
    database: Database,
    pub(crate) store: Store,
    pub(crate) script: Arc<Script>,
    pub(crate) cycle: Arc<CycleScript>,
    /// How many workers were started.
    workers: AtomicUsize,
    pub(crate) options: ExecutionOptions,
    results: Arc<Mutex<Vec<Envelope>>>,
}

impl Scene {
    /// A fleet of so many devices `sw0`, `sw1`, …, in the group `site`, and the tasks `repeatable` and `once`.
    pub(crate) async fn new(ground: Ground, devices: usize) -> Result<Self> {
        Self::with(ground, fleet(devices)?).await
    }

    /// With these devices, groups, interfaces and clients.
    pub(crate) async fn with(ground: Ground, fleet: Effects) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bus: Arc<dyn Bus> = EmbeddedBus::open(folder.path(), EmbeddedOptions::default())?;
        bus.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
        let database = Database::new(ground, folder.path()).await?;
        let store = database.open()?;
        let scene = Self {
            _folder: folder,
            bus,
            database,
            store,
            script: Arc::default(),
            cycle: Arc::default(),
            workers: AtomicUsize::new(0),
            options: ExecutionOptions {
                element_timeout: Duration::from_secs(30),
                stop_grace: Duration::from_millis(200),
                lease_time: Duration::from_millis(1500),
                overdue_after: Duration::from_secs(5),
                worker: "test".to_owned(),
                ..ExecutionOptions::default()
            },
            results: Arc::default(),
        };
        scene.import(fleet).await?;
        scene.listen().await?;
        Ok(scene)
    }

    async fn import(&self, effects: Effects) -> Result<()> {
        let created = effects.devices.iter().filter_map(|device| match device {
            DeviceEffect::Create { hostname, .. } => Some(hostname.clone()),
            _ => None,
        });
        let keys = Keys {
            hostnames: created.collect(),
            ..Keys::default()
        };
        let (mut facts, transaction) = self.store.unit_of_work.begin(&[], &keys).await?;
        let identity = Identity {
            source: source(),
            id: MessageId::new(),
        };
        let origin = Origin {
            identity: &identity,
            kind: Kind::InventoryImported,
            actor: None,
            at: now(),
            reply: None,
        };
        facts.absorb(effects, &origin);
        transaction.commit(&facts).await?;
        Ok(())
    }

    /// Collects all results.
    async fn listen(&self) -> Result<()> {
        let options = ConsumeOptions {
            prefetch: 1000,
            acknowledge: Acknowledge::Each,
        };
        let mut consumer = self.bus.consume(Queue::Results, options).await?;
        let results = self.results.clone();
        tokio::spawn(async move {
            while let Some(batch) = consumer.take(100).await {
                let decoded = batch
                    .deliveries
                    .iter()
                    .map(|delivery| Envelope::decode(&delivery.body));
                let decoded = decoded.map(|decoded| decoded.expect("results can be read").envelope);
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(decoded);
                batch.receipt.ack().await;
            }
        });
        Ok(())
    }

    pub(crate) fn worker(&self) -> Result<Worker> {
        self.worker_with(self.options.clone())
    }

    pub(crate) fn worker_with(&self, options: ExecutionOptions) -> Result<Worker> {
        self.start(self.registry(), vec![Lane::Executions, Lane::Devices], options)
    }

    /// A worker that takes these lanes.
    pub(crate) fn worker_in(&self, lanes: Vec<Lane>) -> Result<Worker> {
        self.start(self.registry(), lanes, self.options.clone())
    }

    /// A worker that takes elements and has no providers.
    pub(crate) fn worker_without_providers(&self) -> Result<Worker> {
        self.start(Registry::default(), vec![Lane::Devices], self.options.clone())
    }

    fn registry(&self) -> Registry {
        let (script, cycle) = (&self.script, &self.cycle);
        let worker = self.workers.fetch_add(1, Ordering::SeqCst);
        Registry::default()
            .with(Scripted::new("repeatable", true, script.clone()))
            .with(Scripted::new("once", false, script.clone()))
            .with(Scripted::new("sync", true, script.clone()))
            .with(Cycle::new("cycle", true, cycle.clone(), worker))
            .with(Cycle::new("cycle-once", false, cycle.clone(), worker))
            .with(Workflow::default())
    }

    fn start(&self, registry: Registry, lanes: Vec<Lane>, options: ExecutionOptions) -> Result<Worker> {
        Worker::start(
            self.bus.clone(),
            || self.database.open(),
            registry,
            lanes,
            options,
        )
    }

    /// Publishes a command, and waits for its result.
    pub(crate) async fn ask(&self, message: impl Into<Message>) -> Result<WorkResult> {
        let asked = self.publish(message).await?;
        self.answer(&asked).await
    }

    pub(crate) async fn publish(&self, message: impl Into<Message>) -> Result<Envelope> {
        let envelope = Envelope::new(source(), now(), message);
        self.bus.publish(vec![outgoing(&envelope)]).await?;
        Ok(envelope)
    }

    /// Publishes a command as this person, and waits for its result.
    pub(crate) async fn ask_by(&self, by: &str, message: impl Into<Message>) -> Result<WorkResult> {
        let envelope = message_by(by, message);
        self.bus.publish(vec![outgoing(&envelope)]).await?;
        self.answer(&envelope).await
    }

    pub(crate) async fn answer(&self, asked: &Envelope) -> Result<WorkResult> {
        let cause = asked.identity.to_string();
        let of = |envelope: &Envelope| envelope.causationid.as_deref() == Some(&*cause);
        let is_answer = |result: &WorkResult| {
            !matches!(
                result,
                WorkResult::ElementFinished(_)
                    | WorkResult::ExecutionFinished(_)
                    | WorkResult::ExecutionProgress(_)
            )
        };
        Ok(wait::until("the answer", PATIENCE, async || {
            let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
            results
                .iter()
                .filter(|envelope| of(envelope))
                .find_map(|envelope| match &envelope.message {
                    Message::Result(result) if is_answer(result) => Some(result.clone()),
                    _ => None,
                })
        })
        .await?)
    }

    pub(crate) async fn save_tasks(&self) -> Result<()> {
        for provider in ["repeatable", "once"] {
            self.save(task(provider, provider, Value::Null)).await?;
        }
        Ok(())
    }

    pub(crate) async fn save(&self, task: TaskSaveRequested) -> Result<()> {
        let saved = self.ask(task).await?;
        ensure!(matches!(saved, WorkResult::CommandApplied(_)), "{saved:?}");
        Ok(())
    }

    /// Requests a task on these entities, and waits until it is accepted.
    pub(crate) async fn run_on(
        &self,
        task: &str,
        execute_on_type: ExecuteOn,
        execute_on: Vec<u64>,
        limits: RunLimits,
    ) -> Result<Uuid> {
        let request = TaskRequested {
            execute_on,
            limits,
            ..naming(task, execute_on_type)
        };
        self.accepted(request).await
    }

    /// Requests a task, and waits until it is accepted.
    pub(crate) async fn accepted(&self, request: TaskRequested) -> Result<Uuid> {
        match self.ask(request).await? {
            WorkResult::ExecutionAccepted(accepted) => Ok(accepted.execution),
            other => anyhow::bail!("{other:?}"),
        }
    }

    /// The results of the entities of an execution at a level, by name; interfaces with their devices.
    pub(crate) async fn results_at(
        &self,
        id: Uuid,
        phase: u8,
        level: Level,
    ) -> Result<BTreeMap<String, EntityResult>> {
        let query = EntityResultQuery {
            execution: self.execution(id).await?.number,
            phase,
            level,
            of: None,
            after: None,
            limit: 10_000,
        };
        let results = self.store.cycle.entity_results(&query).await?;
        let mut devices = BTreeMap::new();
        for name in ["sw0", "sw1", "wlc", "ap0", "ap1"] {
            let device = self.store.fleet.device(&name.parse()?).await?;
            devices.insert(u64::try_from(device.context("a device")?.id.0)?, name);
        }
        let named = results.into_iter().map(|result| {
            let device = result.parent.filter(|_| level == Level::Interface);
            let device = device.and_then(|device| devices.get(&device));
            let name = device.map_or_else(
                || result.name.clone(),
                |device| format!("{device} {}", result.name),
            );
            (name, result)
        });
        Ok(named.collect())
    }

    /// Requests a task on these devices, and waits until it is accepted.
    pub(crate) async fn run(&self, task: &str, devices: &[usize], limits: RunLimits) -> Result<Uuid> {
        let request = self.request(task, devices, limits).await?;
        self.accepted(request).await
    }

    pub(crate) async fn request(
        &self,
        task: &str,
        devices: &[usize],
        limits: RunLimits,
    ) -> Result<TaskRequested> {
        let mut execute_on = Vec::new();
        for device in devices {
            let device = self.store.fleet.device(&hostname(*device)).await?;
            execute_on.push(u64::try_from(device.context("the device")?.id.0)?);
        }
        Ok(TaskRequested {
            task: task.into(),
            execute_on,
            execute_on_names: Vec::new(),
            execute_on_type: ExecuteOn::Device,
            dry_run: true,
            arguments: json!({"count": 1}),
            limits,
        })
    }

    pub(crate) async fn execution(&self, id: Uuid) -> Result<ExecutionRow> {
        let found = self
            .store
            .executions
            .execution(&ExecutionReference::Id(id))
            .await?;
        found.context("the execution")
    }

    /// The elements of an execution, by name.
    pub(crate) async fn elements(&self, id: Uuid) -> Result<BTreeMap<String, ElementRow>> {
        let query = ElementQuery {
            execution: self.execution(id).await?.number,
            limit: 100_000,
            ..ElementQuery::default()
        };
        let rows = self.store.executions.elements(&query).await?;
        Ok(rows.into_iter().map(|row| (row.name.clone(), row)).collect())
    }

    /// Waits for the end of an execution, and checks that what was published says the same as the rows.
    pub(crate) async fn ended(&self, id: Uuid) -> Result<ExecutionRow> {
        let row = wait::until("the end of the execution", PATIENCE, async || {
            match self.execution(id).await {
                Ok(row) if row.state.is_final() => Ok(row),
                other => Err(format!("{other:?}")),
            }
        })
        .await?;
        let elements = self.elements(id).await?;
        ensure!(
            row.counts.elements == elements.len() as u64 && row.counts.open() == 0,
            "{row:?}"
        );
        let outcomes: BTreeSet<_> = elements.values().filter_map(|row| row.state.outcome()).collect();
        ensure!(
            elements.values().all(|row| row.state.outcome().is_some()),
            "{outcomes:?}"
        );
        let finished = wait::until("the result of the execution", PATIENCE, async || {
            self.finished(id)
        })
        .await?;
        ensure!(finished.len() == 1, "{finished:?}");
        ensure!(
            finished[0].state == row.state
                && finished[0].reason == row.reason
                && finished[0].actor == row.request.actor,
            "{finished:?} {row:?}"
        );
        let counts = (finished[0].done, finished[0].failed, finished[0].skipped);
        ensure!(
            counts == (row.counts.done, row.counts.failed, row.counts.skipped),
            "{finished:?} {row:?}"
        );
        wait::until("the results of all elements", PATIENCE, async || {
            let results = self.elements_finished(id);
            (results.len() == elements.len())
                .then_some(())
                .ok_or(results.len())
        })
        .await?;
        for (entity, result) in self.elements_finished(id) {
            let mut rows = elements.values();
            let row = rows.find(|row| (row.entity_type, row.entity) == entity);
            let row = row.context("an element")?;
            ensure!(
                result.state == row.state && result.reason == row.reason,
                "{result:?} {row:?}"
            );
        }
        Ok(row)
    }

    /// The results about the end of an execution, each once however often it was published.
    fn finished(&self, id: Uuid) -> Option<Vec<ExecutionFinished>> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let finished: BTreeMap<Identity, ExecutionFinished> = results
            .iter()
            .filter_map(|envelope| match &envelope.message {
                Message::Result(WorkResult::ExecutionFinished(finished)) if finished.execution == id => {
                    Some((envelope.identity.clone(), finished.clone()))
                }
                _ => None,
            })
            .collect();
        (!finished.is_empty()).then(|| finished.into_values().collect())
    }

    /// The results about elements, by their entities, each once however often it was published. Two different results about an
    /// element are an error.
    pub(crate) fn elements_finished(&self, id: Uuid) -> BTreeMap<(EntityType, u64), ElementFinished> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found: BTreeMap<(EntityType, u64), (Identity, ElementFinished)> = BTreeMap::new();
        for envelope in results.iter() {
            let Message::Result(WorkResult::ElementFinished(finished)) = &envelope.message else {
                continue;
            };
            if finished.execution != id {
                continue;
            }
            let entity = (finished.entity_type, finished.entity);
            let new = (envelope.identity.clone(), finished.clone());
            let known = found.entry(entity).or_insert_with(|| new.clone());
            assert_eq!(*known, new, "two results about one element");
        }
        found
            .into_iter()
            .map(|(entity, (_, finished))| (entity, finished))
            .collect()
    }

    /// Waits until an execution is in this stage, and so many elements ended it.
    pub(crate) async fn ended_of_stage(&self, id: Uuid, stage: Stage, ended: u64) -> Result<()> {
        wait::until("elements that ended their stage", PATIENCE, async || {
            let row = self.execution(id).await.map_err(|error| error.to_string())?;
            let planned = row.request.plan[usize::from(row.stage.index)];
            if planned.stage == stage && row.stage.ended == ended {
                Ok(())
            } else {
                Err(format!("{row:?}"))
            }
        })
        .await?;
        Ok(())
    }

    /// Waits until so many elements run.
    pub(crate) async fn running(&self, count: usize) -> Result<()> {
        wait::until("running elements", PATIENCE, async || {
            let running = self.script.running();
            if running == count { Ok(()) } else { Err(running) }
        })
        .await?;
        Ok(())
    }

    /// Waits until so many elements have begun.
    pub(crate) async fn begun(&self, count: usize) -> Result<()> {
        wait::until("elements that began", PATIENCE, async || {
            let begun = self.script.begun_in_all();
            if begun >= count { Ok(()) } else { Err(begun) }
        })
        .await?;
        Ok(())
    }

    /// The messages that were rejected.
    pub(crate) fn rejections(&self) -> Vec<MessageRejected> {
        let results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let rejections = results.iter().filter_map(|envelope| match &envelope.message {
            Message::Result(WorkResult::MessageRejected(rejected)) => Some(rejected.clone()),
            _ => None,
        });
        rejections.collect()
    }
}

/// A message of this person.
pub(crate) fn message_by(by: &str, message: impl Into<Message>) -> Envelope {
    Envelope {
        actor: Some(by.to_owned()),
        ..Envelope::new(source(), now(), message)
    }
}

/// A request of a task on entities of a kind.
pub(crate) fn naming(task: &str, execute_on_type: ExecuteOn) -> TaskRequested {
    TaskRequested {
        task: task.into(),
        execute_on: Vec::new(),
        execute_on_names: Vec::new(),
        execute_on_type,
        dry_run: true,
        arguments: Value::Null,
        limits: unlimited(),
    }
}

pub(crate) fn task(name: &str, provider: &str, arguments: Value) -> TaskSaveRequested {
    TaskSaveRequested {
        name: name.to_owned(),
        description: None,
        provider: provider.to_owned(),
        arguments,
        pre_tasks: Vec::new(),
        post_tasks: Vec::new(),
        run_input_json_schema: None,
        run_input_ui_schema: None,
    }
}

/// So many devices `sw0`, `sw1`, … in the group `site`.
fn fleet(devices: usize) -> Result<Effects> {
    let site = GroupName::try_from("site".to_owned())?;
    let effects = (0..devices).map(hostname).flat_map(|hostname| {
        [
            DeviceEffect::Create {
                hostname: hostname.clone(),
                attributes: Attributes::of(DeviceType::ACCESS),
                state: DeviceState::Managed,
                version: None,
            },
            DeviceEffect::Join {
                hostname,
                groups: BTreeSet::from([site.clone()]),
            },
        ]
    });
    Ok(Effects {
        devices: effects.collect(),
        groups: vec![GroupRow {
            name: site.clone(),
            location: None,
        }],
        ..Effects::default()
    })
}

pub(crate) fn hostname(number: usize) -> Hostname {
    format!("sw{number}").parse().expect("a hostname")
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

pub(crate) fn source() -> Source {
    Source::try_from("urn:lockstep:test".to_owned()).expect("a source")
}

pub(crate) fn outgoing(envelope: &Envelope) -> Outgoing {
    let kind = envelope.message.kind();
    Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(envelope.identity.id.clone().into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    }
}

/// No limits.
pub(crate) fn unlimited() -> RunLimits {
    RunLimits::default()
}

pub(crate) fn some(number: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(number)
}

/// Defines each test on both databases.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() -> anyhow::Result<()> {
                    super::$name($crate::store::Ground::Sqlite).await
                }
            )*
        }

        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $name() -> anyhow::Result<()> {
                    super::$name($crate::store::Ground::Postgres).await
                }
            )*
        }
    };
}
pub(crate) use on_both;
