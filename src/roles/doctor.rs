//! Builds what `lockstep doctor` looks with.

use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::amqp::AmqpOptions;
use lockstep_git::{Git, GitError};
use lockstep_store::{Repositories, Schema};
use lockstep_worker::repositories::Source;
use secrecy::SecretString;

use super::{broker, console, store};
use crate::config::{BrokerUrl, Config, ConfigProblems};

/// How to reach the broker; nothing where it is embedded.
pub(crate) fn amqp_options(config: &Config) -> Option<AmqpOptions> {
    match &config.broker.url {
        BrokerUrl::Embedded => None,
        BrokerUrl::Amqp(url) => Some(broker::options(config, url)),
    }
}

/// The virtual host of `broker.url`.
pub(crate) fn vhost(config: &Config) -> Option<String> {
    amqp_options(config)?.vhost().ok()
}

/// The store's schema.
///
/// # Errors
/// When its address cannot be used.
pub(crate) fn schema(config: &Config) -> anyhow::Result<Arc<dyn Schema>> {
    Ok(store::open(config)?.schema)
}

/// What the store knows of repositories.
///
/// # Errors
/// As [`schema`].
pub(crate) fn seen_repositories(config: &Config) -> anyhow::Result<Arc<dyn Repositories>> {
    Ok(store::open(config)?.repositories)
}

/// The configured repositories.
///
/// # Errors
/// Where an address or a branch cannot be used.
pub(crate) fn sources(config: &Config) -> Result<Vec<Source>, ConfigProblems> {
    super::repositories::sources(config)
}

/// What git says of its version.
///
/// # Errors
/// When it is not there.
pub(crate) async fn git_version() -> Result<String, GitError> {
    Git::new("git", Duration::from_secs(10)).version().await
}

/// A secret of 256 random bits, in hexadecimal.
pub(crate) fn new_secret() -> SecretString {
    console::new_token()
}
