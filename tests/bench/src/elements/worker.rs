//! A worker of elements in its own process, with providers that wait as for a device or do nothing, or on simulated devices and clusters.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_clock::SystemClock;
use lockstep_cvp::Policy;
use lockstep_cvp_provider::{CvpSweep, SweptCluster};
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{
    CredentialSource, Credentials, DeviceConnection, DeviceError, DevicePool, PoolOptions, PooledConnection,
};
use lockstep_execution::fake::NoDevices;
use lockstep_execution::{
    Caps, CycleStep, Devices, Provider, ProviderProperties, ProviderType, Registry, StepDone, StepFailure,
    StepRun, Steps, TargetDevice,
};
use lockstep_protocol::commands::ExecuteOn;
use lockstep_protocol::topology::Lane;
use lockstep_simulators::fleet::Options;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::executions::{ElementRunner, ExecutionContext, ExecutionOptions, ExecutionRunner};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, Claimant, RunLaneOptions, Runner, WorkerContext, WorkerOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::devices::FleetAccess;
use crate::sweep;

/// The name of the provider that waits.
pub(super) const PROVIDER: &str = "bench";
/// The name of the provider that has all steps.
pub(crate) const ALL_STEPS: &str = "all_steps";
/// The name of the cluster.
pub(crate) const CLUSTER: &str = "bench";

/// Options of the worker.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ElementWorker {
    #[arg(long)]
    pub(crate) amqp: String,
    #[arg(long)]
    pub(crate) postgres: String,
    /// How long each element takes, in milliseconds.
    #[arg(long)]
    pub(crate) latency: u64,
    /// How many elements it runs at once.
    #[arg(long)]
    pub(crate) places: usize,
    /// How many elements all workers run at once.
    #[arg(long)]
    pub(crate) cap: Option<std::num::NonZeroU32>,
    #[command(flatten)]
    pub(crate) fleet: Option<FleetAccess>,
    #[command(flatten)]
    pub(crate) cluster: Option<ClusterAccess>,
}

/// How a worker reaches a simulated CloudVision, the cluster `bench`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct ClusterAccess {
    #[arg(long, required = false)]
    pub(crate) cluster: SocketAddr,
    /// File with the certificate of its authority.
    #[arg(long, required = false)]
    pub(crate) cluster_ca_file: PathBuf,
    /// The most requests in flight.
    #[arg(long, required = false)]
    pub(crate) concurrency: u16,
}

/// Runs elements until the process is killed.
///
/// # Errors
/// A server rejects a request or closes the connection.
pub(crate) async fn run(arguments: ElementWorker) -> anyhow::Result<()> {
    let bus: Arc<dyn Bus> = AmqpBus::connect(AmqpOptions::new(arguments.amqp)).await?;
    let store = PostgresStore::connect(PostgresOptions::new(arguments.postgres))?;
    let provider = Waiting::new(Duration::from_millis(arguments.latency));
    let devices = match &arguments.fleet {
        Some(fleet) => connections(fleet)?,
        None => Arc::new(NoDevices),
    };
    let mut registry = Registry::built_in().with(provider).with(AllSteps::default());
    if let Some(cluster) = &arguments.cluster {
        registry = registry.with(sweeps(cluster)?);
    }
    let executions = ExecutionContext {
        bus: bus.clone(),
        store: store.clone(),
        executions: store.clone(),
        cycle: store.clone(),
        follow_ups: store.clone(),
        registry,
        devices,
        types: Arc::default(),
        clock: Arc::new(SystemClock),
        options: ExecutionOptions {
            caps: Caps {
                overall: arguments.cap,
                ..Caps::default()
            },
            places: arguments.places,
            ..ExecutionOptions::default()
        },
    };
    let runner: Arc<dyn Runner> = Arc::new(ExecutionRunner::new(executions.clone()));
    let mut claimants: BTreeMap<Lane, Arc<dyn Claimant>> = BTreeMap::new();
    if let Some(cluster) = &arguments.cluster {
        let mut of_cvp = executions.clone();
        of_cvp.options.places = usize::from(cluster.concurrency) * 4;
        claimants.insert(Lane::Cvp, Arc::new(ElementRunner::of_lane(Lane::Cvp, of_cvp)));
    }
    claimants.insert(Lane::Devices, Arc::new(ElementRunner::new(executions)));
    let lanes = claimants.keys().copied().chain([Lane::Executions]);
    let lanes = lanes.collect();
    let context = WorkerContext {
        bus,
        store: store.clone(),
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers::default()),
        runners: [(Lane::Executions, runner)].into(),
        claimants,
        clock: Arc::new(SystemClock),
    };
    let lane = RunLaneOptions {
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    };
    let options = WorkerOptions {
        lanes,
        run_lanes: [(Lane::Executions, lane)].into(),
        ..WorkerOptions::default()
    };
    Ok(runtime::run(
        context,
        options,
        CancellationToken::new(),
        CancellationToken::new(),
    )
    .await?)
}

/// Waits, and succeeds.
#[derive(Debug)]
struct Waiting {
    properties: ProviderProperties,
    latency: Duration,
}

impl Waiting {
    fn new(latency: Duration) -> Self {
        Self {
            properties: properties(PROVIDER, ExecuteOn::Device),
            latency,
        }
    }
}

fn properties(name: &'static str, run_on: ExecuteOn) -> ProviderProperties {
    ProviderProperties {
        name: name.into(),
        short_description: "Waits, or does nothing.".into(),
        description: "Waits, or does nothing.".into(),
        provider_type: ProviderType::Execute,
        run_on: Some(run_on),
        run_on_strict: false,
        run_on_all_if_empty: true,
        run_on_result: None,
        facts_for: Vec::new(),
        lane: Lane::Devices,
        success_message: None,
        repeatable: true,
        deprecated: None,
        ui_schema: None,
        run_input_ui_schema: None,
        json_schema: json!({"type": "object"}),
        run_input_json_schema: json!({"type": "object"}),
    }
}

#[async_trait]
impl Provider for Waiting {
    fn properties(&self) -> &ProviderProperties {
        &self.properties
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        Steps::of(&[CycleStep::RunOnDevice])
    }

    async fn run_on_device(&self, _run: &StepRun<'_>) -> Result<StepDone, StepFailure> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        Ok(StepDone::default())
    }
}

/// Has all fourteen steps, which do nothing.
#[derive(Debug)]
struct AllSteps(ProviderProperties);

impl Default for AllSteps {
    fn default() -> Self {
        Self(properties(ALL_STEPS, ExecuteOn::Global))
    }
}

impl Provider for AllSteps {
    fn properties(&self) -> &ProviderProperties {
        &self.0
    }

    fn steps(&self, _arguments: &Value) -> Steps {
        let numbered = |step: &CycleStep| step.number().is_some();
        CycleStep::ALL.into_iter().filter(numbered).collect()
    }
}

/// Sweeps of a simulated cluster.
fn sweeps(cluster: &ClusterAccess) -> anyhow::Result<CvpSweep> {
    let client = sweep::client(cluster.cluster, &cluster.cluster_ca_file, cluster.concurrency)?;
    let clock = Arc::new(SystemClock);
    let swept = SweptCluster::new(Arc::new(client), clock, Policy::default(), "lockstep bench");
    Ok(CvpSweep::new([(CLUSTER.to_owned(), swept)].into()))
}

/// Connections to simulated devices, as a worker has them.
///
/// # Errors
/// The file of the authorities cannot be read.
#[expect(clippy::disallowed_methods, reason = "the bench has a client of its own")]
pub(crate) fn connections(fleet: &FleetAccess) -> anyhow::Result<Arc<dyn Devices>> {
    let authorities = reqwest::Certificate::from_pem_bundle(&std::fs::read(&fleet.ca_file)?)?;
    let pool = PoolOptions::default();
    let http = reqwest::Client::builder()
        .tls_certs_only(authorities)
        .pool_max_idle_per_host(pool.per_device)
        .pool_idle_timeout(pool.max_idle)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .http1_only()
        .build()?;
    let options = EapiOptions {
        port: fleet.port,
        ..EapiOptions::default()
    };
    let driver = Arc::new(EapiDriver::new(http, options));
    Ok(Arc::new(SimulatedDevices(DevicePool::new(
        driver,
        Arc::new(SimulatedUser),
        pool,
    ))))
}

#[derive(Debug)]
struct SimulatedDevices(DevicePool);

#[async_trait]
impl Devices for SimulatedDevices {
    async fn connect(&self, device: &TargetDevice) -> Result<PooledConnection, DeviceError> {
        self.0
            .get(&device.hostname, &device.groups, &device.address)
            .await
    }

    async fn connect_anew(&self, device: &TargetDevice) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        self.0
            .open(&device.hostname, &device.groups, &device.address)
            .await
    }
}

/// The user of all simulated devices.
#[derive(Debug)]
struct SimulatedUser;

impl CredentialSource for SimulatedUser {
    fn credentials(&self, _hostname: &str, _groups: &[String]) -> Option<Arc<Credentials>> {
        let Options {
            username, password, ..
        } = Options::default();
        Some(Arc::new(Credentials::new(&username, &password)))
    }
}
