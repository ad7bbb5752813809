use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address;
use crate::BusError;

/// The address of the broker, and timeouts.
#[derive(Clone)]
pub struct AmqpOptions {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: String,
    /// The certificate authority of the broker, a PEM file. `None` uses the operating system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The name of the connections in RabbitMQ's management.
    pub connection_name: String,
    /// The AMQP heartbeat, in whole seconds. A dead connection is detected after about twice this time. `?heartbeat=` in the
    /// address takes precedence. Default: 10 s.
    pub heartbeat: Duration,
    /// The timeout of one attempt to connect. Short, so that an attempt that began before the broker was back does not delay
    /// the next one. Default: 5 s.
    pub connect_timeout: Duration,
    /// The timeout of each other request to the broker. Default: 10 s.
    pub request_timeout: Duration,
    /// If the broker confirms none of the messages in flight for this long, the connection is closed and they are published
    /// again. A new connection has a shorter time until its first confirm. Default: 15 s.
    pub confirm_timeout: Duration,
    /// The size of the pool of confirm channels: how many callers publish at a time. Further callers wait. Default: 8.
    pub publishers: usize,
}

impl AmqpOptions {
    /// The default options for this address.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            connection_name: "lockstep".to_owned(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(15),
            publishers: 8,
        }
    }

    /// The virtual host in the address.
    ///
    /// # Errors
    /// [`BusError::Address`].
    pub fn vhost(&self) -> Result<String, BusError> {
        let parsed = address::parse(&self.url).map_err(|reason| BusError::Address { reason })?;
        Ok(parsed.vhost)
    }
}

impl fmt::Debug for AmqpOptions {
    /// Omits the address, which contains the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("ca_file", &self.ca_file)
            .field("connection_name", &self.connection_name)
            .field("heartbeat", &self.heartbeat)
            .field("connect_timeout", &self.connect_timeout)
            .field("request_timeout", &self.request_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("publishers", &self.publishers)
            .finish_non_exhaustive()
    }
}
