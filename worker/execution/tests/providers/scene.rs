use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{
    CredentialSource, Credentials, DeviceConnection, DeviceError, DevicePool, PoolOptions, PooledConnection,
};
use lockstep_execution::fake::EmptyStore;
use lockstep_execution::{
    Devices, ElementAttempt, Entity, Registry, StepDone, StepFailure, StepRun, TargetDevice, check_arguments,
};
use lockstep_protocol::Level;
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

/// Simulated devices, and a pool of connections to them.
pub(crate) struct Scene {
    pub(crate) fleet: FleetSimulator,
    pub(crate) cancel: CancellationToken,
    pub(crate) devices: Pool,
}

#[derive(Debug)]
pub(crate) struct Pool(DevicePool);

#[async_trait]
impl Devices for Pool {
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

/// The user of the simulated fleet, for all devices but one.
#[derive(Debug)]
struct Keyring;

impl CredentialSource for Keyring {
    fn credentials(&self, hostname: &str, _groups: &[String]) -> Option<Arc<Credentials>> {
        let Options {
            username, password, ..
        } = Options::default();
        (hostname != "unknown").then(|| Arc::new(Credentials::new(&username, &password)))
    }
}

impl Scene {
    pub(crate) async fn new(behaviours: &[Behaviour]) -> Result<Self> {
        Self::with(behaviours, EapiOptions::default()).await
    }

    pub(crate) async fn with(behaviours: &[Behaviour], options: EapiOptions) -> Result<Self> {
        let devices = (1..)
            .zip(behaviours)
            .map(|(n, behaviour)| Device::numbered(n).with(*behaviour));
        let fleet = FleetSimulator::start(devices.collect(), Options::default()).await?;
        let authority = reqwest::Certificate::from_pem(fleet.ca_pem().as_bytes())?;
        let driver = EapiDriver::new(client(authority)?, options);
        let pool = DevicePool::new(Arc::new(driver), Arc::new(Keyring), PoolOptions::default());
        Ok(Self {
            fleet,
            cancel: CancellationToken::new(),
            devices: Pool(pool),
        })
    }

    /// The nth device, counted from 0.
    pub(crate) fn target(&self, device: usize) -> TargetDevice {
        let address: SocketAddr = self.fleet.addresses()[device];
        TargetDevice {
            hostname: format!("leaf{:05}", device + 1),
            address: address
                .to_string()
                .parse()
                .expect("addresses of sockets are addresses of devices"),
            platform: Some("eos".to_owned()),
            groups: Vec::new(),
        }
    }

    /// Runs a provider on a device, as an engine does it.
    pub(crate) async fn run(
        &self,
        provider: &str,
        target: Option<TargetDevice>,
        arguments: &Value,
        run_arguments: &Value,
    ) -> Result<StepDone, StepFailure> {
        let registry = Registry::built_in();
        let provider = registry.get(provider).expect("the provider is built in");
        let properties = provider.properties();
        for (schema, arguments) in [
            (&properties.json_schema, arguments),
            (&properties.run_input_json_schema, run_arguments),
        ] {
            check_arguments(schema, arguments).expect("the arguments are valid");
        }
        let entity = Entity {
            level: Level::Device,
            id: 1,
            item: None,
            name: target
                .as_ref()
                .map_or_else(|| "stray".to_owned(), |target| target.hostname.clone()),
            device: target,
        };
        let run = StepRun {
            element: ElementAttempt::default(),
            entity: &entity,
            above: &[],
            pre_run: &Value::Null,
            below: &[],
            results: &EmptyStore,
            entities: &EmptyStore,
            dry_run: true,
            arguments,
            run_arguments,
            cancel: &self.cancel,
            devices: &self.devices,
            children: None,
        };
        let running = tokio::time::timeout(Duration::from_mins(1), provider.run_on_device(&run));
        running.await.expect("a provider ends in time")
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "src/roles builds clients for processes; this one is for a test"
)]
fn client(authority: reqwest::Certificate) -> Result<reqwest::Client> {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tls_certs_only([authority])
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?)
}

/// Returns when the devices were asked so often.
pub(crate) async fn asked(scene: &Scene, requests: usize) {
    while scene.fleet.requests() < requests {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
