//! Opens the bus: the embedded one, or a connection to RabbitMQ.

use std::sync::Arc;

use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Bus, BusError};
use lockstep_protocol::topology::Topology;
use secrecy::{ExposeSecret, SecretString};

use crate::config::{BrokerUrl, Config, ConfigProblems};

pub(super) fn refuse_embedded(config: &Config, role: &str) -> Result<(), ConfigProblems> {
    match config.broker.url {
        BrokerUrl::Amqp(_) => Ok(()),
        BrokerUrl::Embedded => {
            let reason = format!(
                "the embedded bus works only inside one process, so `lockstep {role}` would never receive a message; run `lockstep up` (everything in one process), or set broker.url: amqp://USER:PASSWORD@HOST:5672/VHOST"
            );
            Err(ConfigProblems::one("broker.url", reason))
        }
    }
}

/// Opens the bus. The connection may still be down; [`declare`] waits for it.
pub(super) async fn connect(config: &Config) -> anyhow::Result<Arc<dyn Bus>> {
    let opened: Result<Arc<dyn Bus>, BusError> = match &config.broker.url {
        BrokerUrl::Embedded => {
            let bus = EmbeddedBus::open(&config.data_dir, EmbeddedOptions::default());
            bus.map(|bus| bus as Arc<dyn Bus>)
        }
        BrokerUrl::Amqp(url) => {
            let options = options(config, url);
            AmqpBus::connect(options).await.map(|bus| bus as Arc<dyn Bus>)
        }
    };
    opened.map_err(|error| match error {
        BusError::Address { .. } => ConfigProblems::one("broker.url", error.to_string()).into(),
        BusError::InUse { .. } => ConfigProblems::one("data_dir", error.to_string()).into(),
        other => anyhow::Error::new(other),
    })
}

/// Declares exchanges, queues and bindings if configured. Waits until the broker is available.
pub(super) async fn declare(config: &Config, bus: &Arc<dyn Bus>) -> anyhow::Result<()> {
    // The objects of the embedded bus can only be declared here.
    if config.broker.declare || matches!(config.broker.url, BrokerUrl::Embedded) {
        bus.declare(&Topology::new(1.0)).await?;
    }
    Ok(())
}

/// The connection options for RabbitMQ.
pub(super) fn options(config: &Config, url: &SecretString) -> AmqpOptions {
    AmqpOptions {
        ca_file: config.broker.ca_file.clone(),
        ..AmqpOptions::new(url.expose_secret())
    }
}
