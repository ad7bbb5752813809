//! A bus, a database with devices, and workers that process the events lane.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Acknowledge, Bus, ConsumeOptions, Outgoing, Properties};
use lockstep_clock::SystemClock;
use lockstep_protocol::events::{ImportedDevice, InterfaceUpdated, InventoryImported, UpdateKind};
use lockstep_protocol::topology::{Destination, Lane, Queue, Topology};
use lockstep_protocol::{DeviceType, Envelope, Hostname, Message, Source};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{DeliveryAttempts, Device, Fleet, FollowUps, Leases, Schema, UnitOfWork};
use lockstep_testbed::wait;
use lockstep_worker::handlers::{FleetHandlers, Handlers};
use lockstep_worker::runtime::{WorkerContext, WorkerOptions, run};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::controlled_bus::ControlledBus;
use crate::counted_store::CountedStore;

/// Timeout of waits that usually take a moment; long enough for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
const DEVICES: usize = 8;

/// Which database a test uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    Sqlite,
    Postgres,
}

/// A new bus and a new database with the devices `sw0`, `sw1`, ….
pub(crate) struct Scene {
    pub(crate) bus: Arc<ControlledBus>,
    pub(crate) store: Arc<CountedStore>,
    fleet: Arc<dyn Fleet>,
    context: WorkerContext,
    _keep: (TempDir, Box<dyn Any + Send + Sync>),
}

impl Scene {
    pub(crate) async fn new(ground: Ground) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let bus = EmbeddedBus::open(folder.path(), EmbeddedOptions::default())?;
        bus.declare(&Topology::new(0.001)).await?;
        let bus = ControlledBus::new(bus);
        let scene = match ground {
            Ground::Sqlite => {
                let store = SqliteStore::open(SqliteOptions::new(folder.path().join("store.sqlite")))?;
                store.migrate().await?;
                Self::on(bus, store, (folder, Box::new(())))
            }
            Ground::Postgres => {
                let schema = lockstep_testbed::schema().await?;
                let owner = PostgresStore::connect(PostgresOptions::new(schema.url_as("migrate")))?;
                owner.migrate().await?;
                let store = PostgresStore::connect(PostgresOptions::new(&*schema.url_as("worker")))?;
                Self::on(bus, store, (folder, Box::new(schema)))
            }
        };
        let devices = (0..DEVICES).map(|number| ImportedDevice {
            synchronized: Some(true),
            ..device(&hostname(number))
        });
        let import = envelope(InventoryImported {
            devices: devices.collect(),
            ..InventoryImported::default()
        });
        scene.publish([&import]).await?;
        let worker = scene.worker(100);
        scene.results(1).await?;
        worker.stop().await?;
        scene.store.take_begun();
        Ok(scene)
    }

    fn on<S>(bus: Arc<ControlledBus>, store: Arc<S>, keep: (TempDir, Box<dyn Any + Send + Sync>)) -> Self
    where
        S: UnitOfWork + FollowUps + DeliveryAttempts + Leases + Schema + Fleet,
    {
        let counted = CountedStore::new(store.clone());
        let context = WorkerContext {
            bus: bus.clone(),
            store: counted.clone(),
            follow_ups: store.clone(),
            delivery_attempts: store.clone(),
            leases: store.clone(),
            schema: counted.clone(),
            handlers: Arc::new(FleetHandlers::default()),
            claimants: BTreeMap::new(),
            runners: BTreeMap::new(),
            clock: Arc::new(SystemClock),
        };
        Self {
            bus,
            store: counted,
            fleet: store,
            context,
            _keep: keep,
        }
    }

    pub(crate) async fn publish<'a>(&self, messages: impl IntoIterator<Item = &'a Envelope>) -> Result<()> {
        let outgoing = messages.into_iter().map(outgoing).collect();
        Ok(self.bus.publish(outgoing).await?)
    }

    /// Starts a worker.
    pub(crate) fn worker(&self, batch_size: usize) -> Worker {
        self.worker_with(self.context.handlers.clone(), batch_size)
    }

    /// Starts a worker with other rules.
    pub(crate) fn worker_with(&self, handlers: Arc<dyn Handlers>, batch_size: usize) -> Worker {
        let options = WorkerOptions {
            lanes: vec![Lane::Events],
            batch_size,
            ..WorkerOptions::default()
        };
        let (stop, abandon) = (CancellationToken::new(), CancellationToken::new());
        let context = WorkerContext {
            handlers,
            ..self.context.clone()
        };
        let running = tokio::spawn(run(context, options, stop.clone(), abandon.clone()));
        Worker {
            stop,
            abandon,
            running,
        }
    }

    /// Takes so many results, and returns them by the id of their message.
    pub(crate) async fn results(&self, count: usize) -> Result<BTreeMap<String, Vec<Vec<u8>>>> {
        let options = ConsumeOptions {
            prefetch: 1000,
            acknowledge: Acknowledge::InOrder,
        };
        let mut consumer = self.bus.consume(Queue::Results, options).await?;
        let (mut results, mut taken) = (BTreeMap::<String, Vec<Vec<u8>>>::new(), 0);
        while taken < count {
            let batch = tokio::time::timeout(PATIENCE, consumer.take(count - taken)).await;
            let batch = batch
                .with_context(|| format!("{taken} of {count} results"))?
                .context("the bus was closed")?;
            taken += batch.deliveries.len();
            for delivery in batch.deliveries {
                let cause = delivery.properties.correlation_id.unwrap_or_default().into();
                results.entry(cause).or_default().push(delivery.body.to_vec());
            }
            batch.receipt.ack().await;
        }
        consumer.close().await;
        Ok(results)
    }

    /// How often each device was marked as unsynchronized.
    pub(crate) async fn flags(&self) -> Result<Vec<i64>> {
        let mut flags = Vec::new();
        for number in 0..DEVICES {
            let device = self.fleet.device(&hostname(number)).await?;
            flags.push(device.context("it was imported")?.sync.desired - 1);
        }
        Ok(flags)
    }

    /// How many consumers the lane has.
    pub(crate) async fn consumers(&self) -> Result<u32> {
        let figures = self.bus.queues(&[Lane::Events.queue()]).await?;
        Ok(figures[0].context("it was declared")?.consumers)
    }

    /// A device as it is stored.
    pub(crate) async fn device(&self, number: usize) -> Result<Device> {
        let device = self.fleet.device(&hostname(number)).await?;
        device.context("it was imported")
    }

    /// Waits until so many messages are in the lane, whether a worker has them or not.
    pub(crate) async fn left(&self, count: u32) -> Result<()> {
        let left = wait::until("the number of messages in the lane", PATIENCE, async || {
            let figures = self.bus.queues(&[Lane::Events.queue()]).await;
            match figures.map(|figures| figures[0]) {
                Ok(Some(figures)) if figures.messages == count => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        Ok(left.await?)
    }
}

/// A running worker.
pub(crate) struct Worker {
    pub(crate) stop: CancellationToken,
    pub(crate) abandon: CancellationToken,
    running: JoinHandle<Result<(), lockstep_worker::runtime::WorkerError>>,
}

impl Worker {
    pub(crate) async fn stop(self) -> Result<()> {
        self.stop.cancel();
        self.ended().await
    }

    /// Waits for its end.
    pub(crate) async fn ended(self) -> Result<()> {
        ensure!(self.stop.is_cancelled() || self.abandon.is_cancelled());
        let ended = tokio::time::timeout(PATIENCE, self.running).await;
        Ok(ended.context("the worker does not end")???)
    }
}

/// An event that marks a device as unsynchronized.
pub(crate) fn update(number: usize) -> Envelope {
    update_of(number, "Ethernet1")
}

/// An event about this interface.
pub(crate) fn update_of(number: usize, interface: &str) -> Envelope {
    envelope(InterfaceUpdated {
        hostname: hostname(number % DEVICES),
        interfaces: vec![lockstep_protocol::events::UpdatedInterface {
            name: interface.to_owned().try_into().expect("it is a name"),
            configuration: None,
        }],
        kind: UpdateKind::Configuration,
    })
}

pub(crate) fn id(envelope: &Envelope) -> String {
    envelope.identity.id.as_str().to_owned()
}

pub(crate) fn envelope(message: impl Into<Message>) -> Envelope {
    let source = Source::try_from("urn:lockstep:test".to_owned()).expect("it is a source");
    Envelope::new(source, Timestamp::UNIX_EPOCH, message)
}

pub(crate) fn hostname(number: usize) -> Hostname {
    format!("sw{number}").parse().expect("it is a hostname")
}

fn device(hostname: &Hostname) -> ImportedDevice {
    serde_json::from_value(json!({"hostname": hostname, "device_type": DeviceType::ACCESS}))
        .expect("it is a device")
}

fn outgoing(envelope: &Envelope) -> Outgoing {
    let kind = envelope.message.kind();
    Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(id(envelope).into()),
            kind: Some(kind.as_str().into()),
            ..Properties::default()
        },
        body: envelope.encode().into(),
    }
}

/// Runs tests on both databases.
macro_rules! on_both {
    ($($test:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test($crate::scene::Ground::Sqlite).await
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() -> anyhow::Result<()> {
                super::$test($crate::scene::Ground::Postgres).await
            })*
        }
    };
}
pub(crate) use on_both;
