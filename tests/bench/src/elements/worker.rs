//! A worker of elements in its own process, with a provider that waits as for a device, or on simulated devices.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_clock::SystemClock;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{
    CredentialSource, Credentials, DeviceError, DevicePool, PoolOptions, PooledConnection,
};
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

/// The name of the provider.
pub(super) const PROVIDER: &str = "bench";

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
    let executions = ExecutionContext {
        bus: bus.clone(),
        store: store.clone(),
        executions: store.clone(),
        cycle: store.clone(),
        follow_ups: store.clone(),
        registry: Registry::built_in().with(provider),
        devices,
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
    let claimant: Arc<dyn Claimant> = Arc::new(ElementRunner::new(executions));
    let context = WorkerContext {
        bus,
        store: store.clone(),
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers),
        runners: [(Lane::Executions, runner)].into(),
        claimants: [(Lane::Devices, claimant)].into(),
        clock: Arc::new(SystemClock),
    };
    let lane = RunLaneOptions {
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    };
    let options = WorkerOptions {
        lanes: vec![Lane::Executions, Lane::Devices],
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
            properties: ProviderProperties {
                name: PROVIDER,
                short_description: "Waits.",
                description: "Waits.",
                provider_type: ProviderType::Execute,
                run_on: Some(ExecuteOn::Device),
                run_on_strict: false,
                run_on_all_if_empty: true,
                run_on_result: None,
                facts_for: &[],
                lane: Lane::Devices,
                success_message: None,
                repeatable: true,
                deprecated: None,
                json_schema: json!({"type": "object"}),
                run_input_json_schema: json!({"type": "object"}),
            },
            latency,
        }
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

/// The provider connects to none.
#[derive(Debug)]
struct NoDevices;

#[async_trait]
impl Devices for NoDevices {
    async fn connect(&self, _device: &TargetDevice) -> Result<PooledConnection, DeviceError> {
        Err(DeviceError::NoCredentials)
    }
}

/// Connections to simulated devices, as a worker has them.
///
/// # Errors
/// The file of the authorities cannot be read.
#[expect(clippy::disallowed_methods, reason = "the bench has a client of its own")]
pub(crate) fn connections(fleet: &FleetAccess) -> anyhow::Result<Arc<dyn Devices>> {
    // It fails if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
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
