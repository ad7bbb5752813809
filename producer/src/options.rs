use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use lockstep_bus::amqp::AmqpOptions;
use lockstep_protocol::Source;

/// Options of a producer.
#[derive(Clone)]
pub struct ProducerOptions {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`.
    pub url: String,
    /// The source of the messages: a URI reference such as `urn:example:netbox`.
    pub source: Source,
    /// The certificate authority of the broker, a PEM file. `None` uses the operating system's authorities.
    pub ca_file: Option<PathBuf>,
    /// The most messages that wait to be published; further callers wait. Default: 1,000.
    pub in_flight: usize,
    /// How long a caller waits for the confirm. Default: 30 s.
    pub publish_timeout: Duration,
    /// How long a caller waits for the result, after the confirm. Default: 60 s.
    pub result_timeout: Duration,
}

impl ProducerOptions {
    /// The default options for this broker and source.
    pub fn new(url: impl Into<String>, source: Source) -> Self {
        Self {
            url: url.into(),
            source,
            ca_file: None,
            in_flight: 1000,
            publish_timeout: Duration::from_secs(30),
            result_timeout: Duration::from_mins(1),
        }
    }

    pub(crate) fn amqp(&self) -> AmqpOptions {
        AmqpOptions {
            ca_file: self.ca_file.clone(),
            connection_name: self.source.to_string(),
            ..AmqpOptions::new(self.url.clone())
        }
    }
}

impl fmt::Debug for ProducerOptions {
    /// Omits the address, which contains the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerOptions")
            .field("source", &self.source)
            .field("ca_file", &self.ca_file)
            .field("in_flight", &self.in_flight)
            .field("publish_timeout", &self.publish_timeout)
            .field("result_timeout", &self.result_timeout)
            .finish_non_exhaustive()
    }
}
