use std::time::Duration;

use async_trait::async_trait;
use reqwest::Url;

use super::connection::EapiConnection;
use crate::{Credentials, DeviceAddress, DeviceConnection, DeviceDriver, DeviceError};

/// The bounds of requests to devices.
#[derive(Clone, Copy, Debug)]
pub struct EapiOptions {
    /// The port of devices whose address has none.
    pub port: u16,
    /// How long a request may take, from connecting to the end of the answer. One that loads, commits or confirms a configuration may take
    /// three times as long: a device reads thousands of lines.
    pub timeout: Duration,
    /// The most bytes of a request. Configurations make long ones.
    pub max_request: usize,
    /// The most bytes of an answer.
    pub max_answer: usize,
}

impl Default for EapiOptions {
    /// HTTPS, one minute, 16 MiB: the configuration of a large switch has a few.
    fn default() -> Self {
        Self {
            port: 443,
            timeout: Duration::from_mins(1),
            max_request: 16 << 20,
            max_answer: 16 << 20,
        }
    }
}

/// Opens connections to Arista EOS devices.
#[derive(Clone, Debug)]
pub struct EapiDriver {
    http: reqwest::Client,
    options: EapiOptions,
}

impl EapiDriver {
    /// Makes a driver. `http` has the settings for TLS, proxies and the connect timeout; it must not follow redirects, which
    /// could lead the password elsewhere.
    ///
    /// The client keeps TCP connections, and all connections of this driver share them. With a client that keeps none
    /// (`pool_max_idle_per_host(0)`), each request opens a connection of its own, which shows that the device can still be reached.
    pub fn new(http: reqwest::Client, options: EapiOptions) -> Self {
        Self { http, options }
    }
}

#[async_trait]
impl DeviceDriver for EapiDriver {
    async fn open(
        &self,
        address: &DeviceAddress,
        credentials: &Credentials,
    ) -> Result<Box<dyn DeviceConnection>, DeviceError> {
        let port = address.port_or(self.options.port);
        let url = format!("https://{}:{port}/command-api", address.url_host());
        let url = Url::parse(&url).map_err(|error| DeviceError::Unreachable {
            reason: error.to_string(),
        })?;
        let http = self.http.clone();
        Ok(Box::new(EapiConnection::new(
            http,
            self.options,
            url,
            credentials.clone(),
        )))
    }
}
