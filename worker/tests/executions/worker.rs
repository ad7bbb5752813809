//! A worker in a runtime of its own, so that it can be killed: all of it ends at once, wherever it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_clock::SystemClock;
use lockstep_execution::Registry;
use lockstep_execution::fake::NoDevices;
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_store::{
    ElementDetail, ElementOwner, ElementQuery, ElementRow, ExecutionQuery, ExecutionReference, ExecutionRow,
    Executions, Facts, Keys, Lease, Leases, NamedEntities, RenewedElements, StopRow, StoreError, Transaction,
    UnitOfWork,
};
use lockstep_worker::executions::{
    ElementRunner, ElementsTask, ExecutionContext, ExecutionOptions, ExecutionRunner,
};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{
    self, Claimant, PeriodicTaskRunner, RunLaneOptions, Runner, TrustedUsers, WorkerContext, WorkerOptions,
};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::PATIENCE;
use crate::store::Store;

/// How often the periodic task of tests runs.
const EVERY: Duration = Duration::from_millis(100);

/// What separates a worker from its store.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Renewals of elements fail.
    pub(crate) renewals: AtomicBool,
    /// All transactions fail.
    pub(crate) store: AtomicBool,
}

fn away(fault: &AtomicBool) -> Result<(), StoreError> {
    if fault.load(Ordering::SeqCst) {
        return Err(StoreError::Unavailable {
            operation: "test",
            source: "the store is away".into(),
        });
    }
    Ok(())
}

/// A store behind faults.
#[derive(Debug)]
struct Faulty<T: ?Sized> {
    faults: Arc<Faults>,
    store: Arc<T>,
}

#[async_trait]
impl UnitOfWork for Faulty<dyn UnitOfWork> {
    async fn begin(
        &self,
        leases: &[Lease],
        keys: &Keys,
    ) -> Result<(Facts, Box<dyn Transaction>), StoreError> {
        away(&self.faults.store)?;
        self.store.begin(leases, keys).await
    }
}

#[async_trait]
impl Executions for Faulty<dyn Executions> {
    async fn executions(&self, query: &ExecutionQuery) -> Result<Vec<ExecutionRow>, StoreError> {
        self.store.executions(query).await
    }

    async fn count_executions(&self, query: &ExecutionQuery) -> Result<u64, StoreError> {
        self.store.count_executions(query).await
    }

    async fn execution(&self, reference: &ExecutionReference) -> Result<Option<ExecutionRow>, StoreError> {
        self.store.execution(reference).await
    }

    async fn elements(&self, query: &ElementQuery) -> Result<Vec<ElementRow>, StoreError> {
        self.store.elements(query).await
    }

    async fn element(&self, number: u64) -> Result<Option<ElementDetail>, StoreError> {
        self.store.element(number).await
    }

    async fn named(&self, kind: ExecuteOn, names: &[String]) -> Result<NamedEntities, StoreError> {
        self.store.named(kind, names).await
    }

    async fn names(&self, kind: ExecuteOn, ids: &BTreeSet<u64>) -> Result<BTreeMap<u64, String>, StoreError> {
        self.store.names(kind, ids).await
    }

    async fn stopped(&self) -> Result<Option<StopRow>, StoreError> {
        self.store.stopped().await
    }

    async fn renew_elements(
        &self,
        owner: ElementOwner,
        time: Duration,
    ) -> Result<RenewedElements, StoreError> {
        away(&self.faults.renewals)?;
        away(&self.faults.store)?;
        self.store.renew_elements(owner, time).await
    }
}

#[async_trait]
impl Leases for Faulty<dyn Leases> {
    async fn acquire(&self, name: &str, time: Duration) -> Result<Option<Lease>, StoreError> {
        away(&self.faults.store)?;
        self.store.acquire(name, time).await
    }

    async fn renew(&self, lease: &Lease, time: Duration) -> Result<bool, StoreError> {
        away(&self.faults.store)?;
        self.store.renew(lease, time).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        away(&self.faults.store)?;
        self.store.release(lease).await
    }
}

/// A running worker.
pub(crate) struct Worker {
    runtime: Option<Runtime>,
    pub(crate) stop: CancellationToken,
    pub(crate) faults: Arc<Faults>,
    running: JoinHandle<Result<(), runtime::WorkerError>>,
}

impl Worker {
    pub(crate) fn start(
        bus: Arc<dyn Bus>,
        open: impl FnOnce() -> Result<Store>,
        registry: Registry,
        lanes: Vec<Lane>,
        options: ExecutionOptions,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        let guard = runtime.enter();
        let store = open()?;
        let faults = Arc::<Faults>::default();
        let clock = Arc::new(SystemClock);
        let unit_of_work: Arc<dyn UnitOfWork> = Arc::new(Faulty::<dyn UnitOfWork> {
            faults: faults.clone(),
            store: store.unit_of_work,
        });
        let leases: Arc<dyn Leases> = Arc::new(Faulty::<dyn Leases> {
            faults: faults.clone(),
            store: store.leases,
        });
        let context = ExecutionContext {
            bus: bus.clone(),
            store: unit_of_work.clone(),
            executions: Arc::new(Faulty::<dyn Executions> {
                faults: faults.clone(),
                store: store.executions,
            }),
            cycle: store.cycle.clone(),
            follow_ups: store.follow_ups.clone(),
            registry,
            types: Arc::default(),
            devices: Arc::new(NoDevices),
            clock: clock.clone(),
            options,
        };
        let runner: Arc<dyn Runner> = Arc::new(ExecutionRunner::new(context.clone()));
        let claimant: Arc<dyn Claimant> = Arc::new(ElementRunner::new(context.clone()));
        let trusted_users = TrustedUsers::new([bus.user().to_owned()]);
        let worker = WorkerContext {
            bus,
            store: unit_of_work,
            follow_ups: store.follow_ups,
            delivery_attempts: store.delivery_attempts,
            leases: leases.clone(),
            schema: store.schema,
            handlers: Arc::new(FleetHandlers::default()),
            runners: BTreeMap::from([(Lane::Executions, runner)]),
            claimants: BTreeMap::from([(Lane::Devices, claimant)]),
            clock,
        };
        let lane = RunLaneOptions {
            debounce: Duration::ZERO,
            ..RunLaneOptions::default()
        };
        let takes_elements = lanes.contains(&Lane::Devices);
        let worker_options = WorkerOptions {
            lanes,
            run_lanes: [(Lane::Executions, lane)].into(),
            // Messages of a test may name their senders.
            trusted_users,
            ..WorkerOptions::default()
        };
        let stop = CancellationToken::new();
        let running = tokio::spawn(runtime::run(
            worker,
            worker_options,
            stop.clone(),
            CancellationToken::new(),
        ));
        let periodic = PeriodicTaskRunner {
            leases,
            name: "elements".into(),
            every: EVERY,
        };
        let stopped = stop.clone();
        if takes_elements {
            tokio::spawn(async move { periodic.run(&ElementsTask::new(context), stopped).await });
        }
        drop(guard);
        Ok(Self {
            runtime: Some(runtime),
            stop,
            faults,
            running,
        })
    }

    /// Stops it in order.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.stop.cancel();
        let running = &mut self.running;
        let ended = tokio::time::timeout(PATIENCE, running).await;
        ended.context("the worker does not end")???;
        Ok(())
    }

    /// Ends all of it, wherever it is.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
