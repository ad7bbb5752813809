use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::address;
use crate::BusError;

/// Where the broker is, and how patient to be with it.
#[derive(Clone)]
pub struct AmqpOptions {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: String,
    /// The certificate authority of the broker in PEM, where the operating system does not know it.
    pub ca_file: Option<PathBuf>,
    /// What the connections are called in the broker's management.
    pub connection_name: String,
    /// How often to say that we live, in whole seconds; a dead link is noticed after about twice that. What the address
    /// says (`?heartbeat=`) comes first. 10 s.
    pub heartbeat: Duration,
    /// How long connecting, and every question to the broker, may take. 10 s.
    pub connect_timeout: Duration,
    /// How long the broker may confirm nothing of what is in flight before the connection is given up. 15 s.
    pub confirm_timeout: Duration,
    /// How many channels publish at a time, which is how many callers do; more wait their turn. 8.
    pub publishers: usize,
}

impl AmqpOptions {
    /// The defaults, for a broker there.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ca_file: None,
            connection_name: "lockstep".to_owned(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            confirm_timeout: Duration::from_secs(15),
            publishers: 8,
        }
    }

    /// The virtual host the address names.
    ///
    /// # Errors
    /// [`BusError::Address`].
    pub fn vhost(&self) -> Result<String, BusError> {
        let parsed = address::parse(&self.url).map_err(|reason| BusError::Address { reason })?;
        Ok(parsed.vhost)
    }
}

impl fmt::Debug for AmqpOptions {
    /// Without the address: it has the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpOptions")
            .field("ca_file", &self.ca_file)
            .field("connection_name", &self.connection_name)
            .field("heartbeat", &self.heartbeat)
            .field("connect_timeout", &self.connect_timeout)
            .field("confirm_timeout", &self.confirm_timeout)
            .field("publishers", &self.publishers)
            .finish_non_exhaustive()
    }
}
