use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{
    Command, CommandOutput, CredentialSource, Credentials, DeviceAddress, DeviceConnection, DeviceDriver,
    DeviceError, Format,
};
use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};

/// A timeout that a simulated device never needs.
pub(crate) const LONG: Duration = Duration::from_mins(1);

/// A timeout for devices that do not answer.
pub(crate) const SHORT: Duration = Duration::from_millis(300);

/// Simulated devices with these behaviours, and a driver that trusts their authority.
pub(crate) struct Scene {
    pub(crate) fleet: FleetSimulator,
    pub(crate) http: reqwest::Client,
}

impl Scene {
    pub(crate) async fn new(behaviours: &[Behaviour]) -> Result<Self> {
        let devices = (1..)
            .zip(behaviours)
            .map(|(n, behaviour)| Device::numbered(n).with(*behaviour));
        Self::of(devices.collect(), Options::default()).await
    }

    pub(crate) async fn of(devices: Vec<Device>, options: Options) -> Result<Self> {
        let fleet = FleetSimulator::start(devices, options).await?;
        let http = client(&[reqwest::Certificate::from_pem(fleet.ca_pem().as_bytes())?])?;
        Ok(Self { fleet, http })
    }

    pub(crate) fn address(&self, device: usize) -> DeviceAddress {
        let address = self.fleet.addresses()[device].to_string();
        address
            .parse()
            .expect("addresses of sockets are addresses of devices")
    }

    pub(crate) fn driver(&self, timeout: Duration) -> EapiDriver {
        let options = EapiOptions {
            timeout,
            ..EapiOptions::default()
        };
        EapiDriver::new(self.http.clone(), options)
    }

    /// A connection to a device as the user of the fleet.
    pub(crate) async fn open(
        &self,
        device: usize,
        timeout: Duration,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        self.driver(timeout)
            .open(&self.address(device), &credentials())
            .await
    }

    /// Runs one command on a device.
    pub(crate) async fn run(
        &self,
        device: usize,
        timeout: Duration,
        text: &str,
    ) -> Result<CommandOutput, DeviceError> {
        let mut connection = self.open(device, timeout).await?;
        let mut outputs = connection.run(&commands(&[text]), Format::Json).await?;
        Ok(outputs.remove(0))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "src/roles builds clients for processes; this one is for a test"
)]
pub(crate) fn client(authorities: &[reqwest::Certificate]) -> Result<reqwest::Client> {
    // Another test may have installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder()
        .tls_certs_only(authorities.to_vec())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .build()?)
}

pub(crate) fn credentials() -> Credentials {
    let Options {
        username, password, ..
    } = Options::default();
    Credentials::new(&username, &password)
}

pub(crate) fn commands(texts: &[&str]) -> Vec<Command> {
    texts
        .iter()
        .map(|text| Command::new(text).expect("a command"))
        .collect()
}

/// The same credentials for all devices, until they are changed.
#[derive(Debug)]
pub(crate) struct Keyring(Mutex<Option<Arc<Credentials>>>);

impl Keyring {
    pub(crate) fn new(credentials: Option<Credentials>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(credentials.map(Arc::new))))
    }

    pub(crate) fn set(&self, credentials: Option<Credentials>) {
        *self.0.lock().expect("no test panics here") = credentials.map(Arc::new);
    }
}

impl CredentialSource for Keyring {
    fn credentials(&self, _: &str, _: &[String]) -> Option<Arc<Credentials>> {
        self.0.lock().expect("no test panics here").clone()
    }
}
