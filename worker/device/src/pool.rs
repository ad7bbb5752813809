use std::collections::HashMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, Pool, PoolError, RecycleError, RecycleResult, Timeouts};

use crate::{CredentialSource, Credentials, DeviceAddress, DeviceConnection, DeviceDriver, DeviceError};

/// The bounds of a pool.
#[derive(Clone, Copy, Debug)]
pub struct PoolOptions {
    /// The most connections to one device. Devices allow few: EOS closes the oldest of many sessions.
    pub per_device: usize,
    /// How long a connection may be idle. Devices close idle connections themselves.
    pub max_idle: Duration,
    /// How long to wait for a connection while all of them are in use.
    pub wait: Duration,
    /// The most devices whose idle connections are kept.
    pub max_devices: usize,
}

impl Default for PoolOptions {
    /// Two connections a device, idle for half a minute; 2,048 devices.
    fn default() -> Self {
        Self {
            per_device: 2,
            max_idle: Duration::from_secs(30),
            wait: Duration::from_secs(30),
            max_devices: 2048,
        }
    }
}

/// Keeps connections to devices. One is used again only if its credentials are still those of the device, and if nothing went
/// wrong with it.
#[derive(Debug)]
pub struct DevicePool {
    driver: Arc<dyn DeviceDriver>,
    /// Opens the connections that are in no pool.
    unpooled: Arc<dyn DeviceDriver>,
    credentials: Arc<dyn CredentialSource>,
    options: PoolOptions,
    pools: Mutex<HashMap<Target, Pool<Manager>>>,
}

/// The device that a connection belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Target {
    hostname: String,
    groups: Vec<String>,
    address: DeviceAddress,
}

/// A connection that returns to its pool when it is dropped.
#[derive(Debug)]
pub struct PooledConnection(Object<Manager>);

impl Deref for PooledConnection {
    type Target = dyn DeviceConnection;

    fn deref(&self) -> &Self::Target {
        &*self.0.connection
    }
}

impl DerefMut for PooledConnection {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0.connection
    }
}

impl DevicePool {
    /// A pool of connections that `driver` opens, with the credentials of `credentials`.
    pub fn new(
        driver: Arc<dyn DeviceDriver>,
        credentials: Arc<dyn CredentialSource>,
        options: PoolOptions,
    ) -> Self {
        Self {
            unpooled: driver.clone(),
            driver,
            credentials,
            options,
            pools: Mutex::default(),
        }
    }

    /// Opens the connections that are in no pool by this driver. The driver of the pool may share TCP connections between them and those
    /// of the pool.
    #[must_use]
    pub fn with_unpooled(self, driver: Arc<dyn DeviceDriver>) -> Self {
        Self {
            unpooled: driver,
            ..self
        }
    }

    /// A connection to the device: an idle one, or a new one. Its credentials may depend on its groups.
    ///
    /// # Errors
    /// The device has no credentials, cannot be reached, refuses the credentials, or all its connections stay in use.
    pub async fn get(
        &self,
        hostname: &str,
        groups: &[String],
        address: &DeviceAddress,
    ) -> Result<PooledConnection, DeviceError> {
        let target = Target {
            hostname: hostname.to_owned(),
            groups: groups.to_vec(),
            address: address.clone(),
        };
        match self.pool(target).get().await {
            Ok(connection) => Ok(PooledConnection(connection)),
            Err(PoolError::Backend(error)) => Err(error),
            Err(PoolError::Timeout(_)) => Err(DeviceError::Unreachable {
                reason: format!(
                    "all {} connections to it are in use for {} s",
                    self.options.per_device,
                    self.options.wait.as_secs()
                ),
            }),
            Err(error) => Err(DeviceError::Unreachable {
                reason: error.to_string(),
            }),
        }
    }

    /// A new connection to the device, which is in no pool. With a driver of its own ([`with_unpooled`](Self::with_unpooled)) it shows that
    /// the device can still be reached.
    ///
    /// # Errors
    /// The device has no credentials, cannot be reached, or refuses the credentials.
    pub async fn open(
        &self,
        hostname: &str,
        groups: &[String],
        address: &DeviceAddress,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        let credentials = self.credentials.credentials(hostname, groups);
        let credentials = credentials.ok_or(DeviceError::NoCredentials)?;
        self.unpooled.open(address, &credentials).await
    }

    /// Number of devices with connections.
    pub fn devices(&self) -> usize {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn pool(&self, target: Target) -> Pool<Manager> {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = pools.get(&target) {
            return pool.clone();
        }
        if pools.len() >= self.options.max_devices {
            // Pools whose connections are all idle go: connecting again is cheaper than an unbounded number of connections.
            pools.retain(|_, pool| {
                let status = pool.status();
                status.size > status.available || status.waiting > 0
            });
        }
        let manager = Manager {
            driver: self.driver.clone(),
            credentials: self.credentials.clone(),
            target: target.clone(),
            max_idle: self.options.max_idle,
        };
        let pool = Pool::builder(manager)
            .max_size(self.options.per_device)
            .runtime(deadpool::Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(self.options.wait),
                ..Timeouts::default()
            })
            .build();
        // The only error is a timeout without a runtime, and there is one.
        let Ok(pool) = pool else {
            unreachable!("the pool has a runtime");
        };
        pools.insert(target, pool.clone());
        pool
    }
}

/// Opens and checks the connections to one device.
#[derive(Debug)]
struct Manager {
    driver: Arc<dyn DeviceDriver>,
    credentials: Arc<dyn CredentialSource>,
    target: Target,
    max_idle: Duration,
}

/// A connection, and the credentials that it was opened with.
struct Opened {
    connection: Box<dyn DeviceConnection>,
    credentials: Arc<Credentials>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.connection.fmt(f)
    }
}

impl Manager {
    fn current(&self) -> Result<Arc<Credentials>, DeviceError> {
        let Target { hostname, groups, .. } = &self.target;
        let credentials = self.credentials.credentials(hostname, groups);
        credentials.ok_or(DeviceError::NoCredentials)
    }
}

impl managed::Manager for Manager {
    type Type = Opened;
    type Error = DeviceError;

    async fn create(&self) -> Result<Opened, DeviceError> {
        let credentials = self.current()?;
        Ok(Opened {
            connection: self.driver.open(&self.target.address, &credentials).await?,
            credentials,
        })
    }

    async fn recycle(&self, opened: &mut Opened, metrics: &Metrics) -> RecycleResult<DeviceError> {
        if !opened.connection.is_reusable() {
            return Err(RecycleError::message("the last request did not end"));
        }
        if metrics.last_used() > self.max_idle {
            return Err(RecycleError::message("the connection was idle for too long"));
        }
        if *self.current()? != *opened.credentials {
            return Err(RecycleError::message("the credentials have changed"));
        }
        Ok(())
    }
}
