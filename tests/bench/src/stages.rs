//! Counts the allocations of the worker by stage, on a bus and a store in memory: without those of the AMQP and the PostgreSQL client.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use async_trait::async_trait;
use lockstep_bus::{
    Batch, Bus, BusError, BusStatus, ConsumeOptions, Consumer, Delivery, Outgoing, PublishError,
    QueueFigures, Receipt, Settle,
};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::topology::{self, Lane, Queue, Topology};
use lockstep_protocol::{DeviceState, DeviceType, Hostname};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{
    Attributes, DeviceRow, ExecutionTransaction, Facts, Flagged, Keys, Lease, Lifecycle, NewCause,
    StoreError, SyncState, Transaction, UnitOfWork,
};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, WorkerContext, WorkerOptions};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::allocations::Allocations;
use crate::messages;
use crate::table::{AllocationRow, Table};

/// Messages in a batch; as many as a worker takes at most.
const BATCH: u32 = 500;
/// Batches that are counted, after one that is not.
const BATCHES: u32 = 20;
const DEVICES: u32 = 10_000;

/// The stages, each of which ends where the worker calls the bus or the store.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// From the delivery to the beginning of the transaction.
    Receive,
    /// What the store in memory does: not counted.
    Store,
    /// From the facts to the commit.
    Decide,
    /// From the commit to publishing.
    Answer,
    /// From publishing to the acknowledgement.
    Publish,
    /// From the acknowledgement to the next delivery.
    End,
}

const STAGES: [(Stage, &str); 5] = [
    (Stage::Receive, "decode, keys"),
    (Stage::Decide, "decide"),
    (Stage::Answer, "answer"),
    (Stage::Publish, "publish, without AMQP"),
    (Stage::End, "acknowledge"),
];

/// Adds a row for each stage.
///
/// # Errors
/// The bench is built without `count-allocations`.
pub(crate) async fn measure(table: &mut Table) -> anyhow::Result<()> {
    Allocations::now().context("build the bench with `--features count-allocations`")?;
    let folder = tempfile::tempdir()?;
    let store = SqliteStore::open(SqliteOptions::new(folder.path().join("store.sqlite")))?;
    let done = CancellationToken::new();
    let memory = Arc::new(Memory::new(done.clone()));
    let in_memory = Arc::new(InMemory(memory.clone()));
    let context = WorkerContext {
        bus: in_memory.clone(),
        store: in_memory,
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers::default()),
        claimants: std::collections::BTreeMap::new(),
        runners: std::collections::BTreeMap::new(),
        clock: Arc::new(SystemClock),
    };
    let options = WorkerOptions {
        lanes: vec![Lane::Events],
        ..WorkerOptions::default()
    };
    runtime::run(context, options, done, CancellationToken::new()).await?;
    let stages = memory.stages();
    let mut sum = Allocations::default();
    for (stage, name) in STAGES {
        let counted = stages.counted[stage as usize];
        sum.count += counted.count;
        sum.bytes += counted.bytes;
        table.allocations.push(row(name, counted));
    }
    table.allocations.push(row("all of them", sum));
    Ok(())
}

fn row(what: &'static str, allocations: Allocations) -> AllocationRow {
    AllocationRow::new(what, allocations, BATCH * BATCHES)
}

/// A bus with events, and a store that has every device.
#[derive(Debug)]
struct Memory {
    batches: Mutex<VecDeque<Vec<Delivery>>>,
    stages: Mutex<Stages>,
    acknowledged: Notify,
    done: CancellationToken,
}

#[derive(Debug, Default)]
struct Stages {
    last: Allocations,
    counted: [Allocations; 6],
}

impl Memory {
    fn new(done: CancellationToken) -> Self {
        let run = messages::run();
        let event = |number| delivery(messages::event(&run, number, DEVICES));
        let batch = |batch| (batch * BATCH..(batch + 1) * BATCH).map(event).collect();
        let acknowledged = Notify::new();
        acknowledged.notify_one();
        Self {
            batches: Mutex::new((0..=BATCHES).map(batch).collect()),
            stages: Mutex::default(),
            acknowledged,
            done,
        }
    }

    fn stages(&self) -> std::sync::MutexGuard<'_, Stages> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stage ends here.
    fn ends(&self, stage: Stage) {
        let now = Allocations::now().unwrap_or_default();
        let mut stages = self.stages();
        let since = now.since(stages.last);
        let counted = &mut stages.counted[stage as usize];
        counted.count += since.count;
        counted.bytes += since.bytes;
        stages.last = Allocations::now().unwrap_or_default();
    }

    fn next(&self) -> Option<Vec<Delivery>> {
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = batches.pop_front();
        if batches.len() + 1 == BATCHES as usize {
            *self.stages() = Stages {
                last: Allocations::now().unwrap_or_default(),
                ..Stages::default()
            };
        }
        batch
    }
}

fn delivery(event: messages::Event) -> Delivery {
    let Outgoing { properties, body, .. } = event.outgoing();
    let routing_key = properties.kind.as_deref().unwrap_or_default().to_owned();
    Delivery {
        body,
        properties: lockstep_bus::Properties {
            user_id: Some("netbox".into()),
            ..properties
        },
        exchange: topology::EVENTS.to_owned(),
        routing_key,
        redelivered: false,
    }
}

/// The bus and the store of the worker.
#[derive(Debug)]
struct InMemory(Arc<Memory>);

#[async_trait]
impl Bus for InMemory {
    async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        self.0.ends(Stage::Answer);
        drop(messages);
        Ok(())
    }

    async fn consume(&self, queue: Queue, _: ConsumeOptions) -> Result<Box<dyn Consumer>, BusError> {
        Ok(match queue {
            Queue::Lane(Lane::Events) => Box::new(Events(self.0.clone())),
            _ => Box::new(Empty),
        })
    }

    async fn declare(&self, _: &Topology) -> Result<(), BusError> {
        Ok(())
    }

    async fn queues(&self, names: &[&str]) -> Result<Vec<Option<QueueFigures>>, BusError> {
        Ok(vec![None; names.len()])
    }

    fn status(&self) -> BusStatus {
        BusStatus::Connected
    }

    fn user(&self) -> &'static str {
        "worker"
    }

    async fn close(&self) {}
}

/// Delivers a batch when the one before it is acknowledged, so that the stages do not overlap.
struct Events(Arc<Memory>);

#[async_trait]
impl Consumer for Events {
    async fn take(&mut self, _: usize) -> Option<Batch> {
        self.0.acknowledged.notified().await;
        let Some(deliveries) = self.0.next() else {
            self.0.done.cancel();
            return None;
        };
        self.0.ends(Stage::End);
        Some(Batch {
            deliveries,
            receipt: Receipt::new(Acknowledgement(self.0.clone())),
        })
    }

    async fn close(self: Box<Self>) {}
}

struct Acknowledgement(Arc<Memory>);

#[async_trait]
impl Settle for Acknowledgement {
    async fn ack(self: Box<Self>) {
        self.0.ends(Stage::Publish);
        self.0.acknowledged.notify_one();
    }
}

struct Empty;

#[async_trait]
impl Consumer for Empty {
    async fn take(&mut self, _: usize) -> Option<Batch> {
        std::future::pending().await
    }

    async fn close(self: Box<Self>) {}
}

#[async_trait]
impl UnitOfWork for InMemory {
    async fn begin(&self, _: &[Lease], keys: &Keys) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        self.0.ends(Stage::Receive);
        let mut facts = Facts::default();
        facts.set_time(SystemClock.now());
        for (id, hostname) in (1..).zip(&keys.hostnames) {
            facts.add_device(device(id, hostname.clone()));
        }
        self.0.ends(Stage::Store);
        Ok((facts, Box::new(Open(self.0.clone()))))
    }
}

fn device(id: i64, hostname: Hostname) -> DeviceRow {
    DeviceRow {
        id: Some(id),
        hostname,
        attributes: Attributes::of(DeviceType::ACCESS),
        lifecycle: Lifecycle {
            state: DeviceState::Managed,
            note: None,
            until: None,
            version: None,
            since: None,
        },
        sync: SyncState::SYNCHRONIZED,
        marked: None,
        groups: None,
        by_rule: None,
        data: None,
        causes: Vec::new(),
        forgets_causes: false,
        described: false,
        flagged: false,
    }
}

struct Open(Arc<Memory>);

#[async_trait]
impl Transaction for Open {
    async fn flag(&mut self, _: &NewCause) -> Result<Flagged, StoreError> {
        unreachable!("events flag no devices by a selector")
    }

    fn executions(&mut self) -> Box<dyn ExecutionTransaction + '_> {
        unreachable!("events change no executions")
    }

    async fn commit(self: Box<Self>, _: &Facts) -> Result<(), StoreError> {
        self.0.ends(Stage::Decide);
        Ok(())
    }
}
