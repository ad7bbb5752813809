//! Builds the connections to devices.

mod credentials;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use async_trait::async_trait;
use lockstep_device::eapi::{EapiDriver, EapiOptions};
use lockstep_device::{DeviceConnection, DeviceError, DevicePool, PoolOptions, PooledConnection};
use lockstep_execution::{Devices, TargetDevice};

pub(crate) use credentials::ConfiguredCredentials;

use super::http::authorities;
use crate::config::{ConfigProblems, DevicesConfig};

/// How long a connection to a device may be idle. The HTTP client has no bound for all devices together, so this one limits the sockets of
/// a run over thousands of devices. The requests of one element follow one another at once.
const MAX_IDLE: Duration = Duration::from_secs(5);

/// The devices of the fleet, which providers connect to.
///
/// # Errors
/// If the certificates of their authorities cannot be read.
pub(super) fn devices(config: &DevicesConfig) -> anyhow::Result<Arc<dyn Devices>> {
    let pool = PoolOptions {
        max_idle: MAX_IDLE,
        ..PoolOptions::default()
    };
    let credentials = ConfiguredCredentials::of(&config.credentials);
    let options = EapiOptions {
        port: config.port,
        timeout: config.timeout,
        ..EapiOptions::default()
    };
    let driver = |idle| anyhow::Ok(Arc::new(EapiDriver::new(http(config, idle)?, options)));
    let pooled = driver(pool.per_device)?;
    let pool = DevicePool::new(pooled, Arc::new(credentials), pool).with_unpooled(driver(0)?);
    Ok(Arc::new(Fleet(pool)))
}

/// Connects by eAPI, which is the only driver.
#[derive(Debug)]
struct Fleet(DevicePool);

#[async_trait]
impl Devices for Fleet {
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

/// The certificates of the authorities of devices; `None` if those of the operating system count.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn device_authorities(
    config: &DevicesConfig,
) -> Result<Option<Vec<reqwest::Certificate>>, ConfigProblems> {
    let file = config.ca_file.as_ref();
    file.map(|file| authorities("devices.ca_file", file)).transpose()
}

/// Does not follow redirects, which could lead the password elsewhere, and uses no proxy: devices are in the own network. Without idle
/// connections, each request opens one.
#[expect(
    clippy::disallowed_methods,
    reason = "the composition root builds HTTP clients; this one has the TLS of the devices"
)]
fn http(config: &DevicesConfig, idle_per_device: usize) -> anyhow::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .connect_timeout(config.connect_timeout.min(config.timeout))
        .pool_max_idle_per_host(idle_per_device)
        .pool_idle_timeout(MAX_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .tcp_nodelay(true)
        .http1_only()
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")));
    if let Some(authorities) = device_authorities(config)? {
        builder = builder.tls_certs_only(authorities);
    }
    if config.insecure {
        tracing::warn!(
            "devices.insecure: certificates of devices are not verified; anyone between this machine and a device can read its password"
        );
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().context("cannot start the HTTP client")
}

#[cfg(test)]
#[cfg(feature = "simulators")]
mod tests {
    use lockstep_device::Command;
    use lockstep_simulators::fleet::{Behaviour, Device, FleetSimulator, Options};

    use super::*;
    use crate::config::Config;

    /// Three simulated devices, and the folder with the files of their configuration.
    struct Scene {
        fleet: FleetSimulator,
        folder: tempfile::TempDir,
    }

    impl Scene {
        async fn start() -> Self {
            // Another test may have installed it already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let numbered = (1..=3).map(Device::numbered).collect();
            let fleet = FleetSimulator::start(numbered, Options::default()).await.unwrap();
            let scene = Self {
                fleet,
                folder: tempfile::tempdir().unwrap(),
            };
            scene.write("ca.pem", scene.fleet.ca_pem());
            scene.write("password", &Options::default().password);
            scene
        }

        fn write(&self, name: &str, text: &str) {
            let new = self.folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, self.folder.path().join(name)).unwrap();
        }

        fn devices(&self, tls: &str) -> Arc<dyn Devices> {
            let folder = self.folder.path().display();
            let port = self.fleet.addresses()[0].port();
            let username = Options::default().username;
            let tls = tls.replace("FOLDER", &folder.to_string());
            let config = Config::of_text(&format!(
                "[devices]\n{tls}\nport = {port}\ntimeout = '2s'\n\
                 [devices.credentials.default]\nusername = '{username}'\npassword_file = '{folder}/password'\n"
            ));
            devices(&config.devices).unwrap()
        }

        fn target(&self, number: usize) -> TargetDevice {
            TargetDevice {
                hostname: format!("leaf{number:05}"),
                address: lockstep_device::DeviceAddress::of_ip(self.fleet.addresses()[number - 1].ip()),
                platform: Some("eos".to_owned()),
                groups: Vec::new(),
            }
        }

        /// Runs a command on a device.
        async fn run(&self, devices: &dyn Devices, number: usize) -> Result<(), DeviceError> {
            let command = Command::new("show version").unwrap();
            let mut connection = devices.connect(&self.target(number)).await?;
            connection
                .run(&[command], lockstep_device::Format::Json)
                .await
                .map(drop)
        }
    }

    const TRUSTED: &str = "ca_file = 'FOLDER/ca.pem'";

    #[tokio::test]
    async fn devices_are_reached_on_the_configured_port_with_rotated_passwords() {
        let scene = Scene::start().await;
        let devices = scene.devices(TRUSTED);
        scene.run(&*devices, 1).await.unwrap();
        scene.fleet.set_password("rotated");
        let error = scene.run(&*devices, 1).await.unwrap_err();
        assert!(matches!(error, DeviceError::Authentication { .. }), "{error}");
        scene.write("password", "rotated\n");
        for number in [1, 2] {
            scene.run(&*devices, number).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_device_is_connected_to_anew_with_a_tcp_connection_of_its_own() {
        let scene = Scene::start().await;
        let devices = scene.devices(TRUSTED);
        for _ in 0..2 {
            scene.run(&*devices, 1).await.unwrap();
        }
        assert_eq!(scene.fleet.connections(0), 1, "the pool keeps its connection");
        for connections in [2, 3] {
            let mut anew = devices.connect_anew(&scene.target(1)).await.unwrap();
            anew.running_configuration().await.unwrap();
            assert_eq!(scene.fleet.connections(0), connections);
        }
        scene.run(&*devices, 1).await.unwrap();
        assert_eq!(scene.fleet.connections(0), 3, "the pool keeps its connection");
    }

    #[tokio::test]
    async fn an_unreachable_device_and_a_silent_one_are_told_apart() {
        let scene = Scene::start().await;
        let devices = scene.devices(TRUSTED);
        scene.fleet.take_down(0).await;
        let error = scene.run(&*devices, 1).await.unwrap_err();
        assert!(matches!(error, DeviceError::Unreachable { .. }), "{error}");
        scene.fleet.behave(1, Behaviour::Silent);
        let error = scene.run(&*devices, 2).await.unwrap_err();
        assert!(matches!(error, DeviceError::TimedOut { .. }), "{error}");
        scene.run(&*devices, 3).await.unwrap();
    }

    #[tokio::test]
    async fn a_certificate_is_verified_unless_that_is_switched_off() {
        let scene = Scene::start().await;
        let error = scene.run(&*scene.devices(""), 1).await.unwrap_err();
        assert!(matches!(error, DeviceError::Certificate { .. }), "{error}");
        assert_eq!(scene.fleet.requests(), 0, "the password was not sent");
        scene.run(&*scene.devices("insecure = true"), 1).await.unwrap();
    }
}
