//! Builds the clients and stores for `lockstep doctor`.

use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::amqp::AmqpOptions;
use lockstep_git::{Git, GitError};
use lockstep_store::postgres::PostgresStore;
use lockstep_store::{Fleet, InventorySources, Repositories, Schema};
use lockstep_worker::repositories::Source;
use secrecy::SecretString;

use super::{broker, console, store};
use crate::config::{BrokerUrl, Config, ConfigProblems};

/// The connection options for the broker; none if it is embedded.
pub(crate) fn amqp_options(config: &Config) -> Option<AmqpOptions> {
    match &config.broker.url {
        BrokerUrl::Embedded => None,
        BrokerUrl::Amqp(url) => Some(broker::options(config, url)),
    }
}

/// The virtual host of `broker.url`; none if the broker is embedded.
pub(crate) fn vhost(config: &Config) -> Option<String> {
    amqp_options(config)?.vhost().ok()
}

/// The store, for checks of its schema.
///
/// # Errors
/// If its address is not valid.
pub(crate) fn schema(config: &Config) -> anyhow::Result<Arc<dyn Schema>> {
    Ok(store::open(config)?.schema)
}

/// The store if it is PostgreSQL, for its set-up and for checks of the login.
///
/// # Errors
/// As [`schema`].
pub(crate) fn postgres(config: &Config) -> anyhow::Result<Option<Arc<PostgresStore>>> {
    store::postgres(config)
}

/// The store, for the state of repositories.
///
/// # Errors
/// As [`schema`].
pub(crate) fn seen_repositories(config: &Config) -> anyhow::Result<Arc<dyn Repositories>> {
    Ok(store::open(config)?.repositories)
}

/// The store, for how far change logs were read.
///
/// # Errors
/// As [`schema`].
pub(crate) fn polled_sources(config: &Config) -> anyhow::Result<Arc<dyn InventorySources>> {
    Ok(store::open(config)?.inventory_sources)
}

/// The configured repositories.
///
/// # Errors
/// If an address or a branch is not valid.
pub(crate) fn sources(config: &Config) -> Result<Vec<Source>, ConfigProblems> {
    super::repositories::sources(config)
}

/// The output of `git --version`.
///
/// # Errors
/// If git cannot be run.
pub(crate) async fn git_version() -> Result<String, GitError> {
    Git::new("git", Duration::from_secs(10)).version().await
}

/// A secret of 256 random bits, in hexadecimal.
pub(crate) fn new_secret() -> SecretString {
    console::new_token()
}

/// The store, for the ages and types of devices.
///
/// # Errors
/// As [`schema`].
pub(crate) fn seen_fleet(config: &Config) -> anyhow::Result<Arc<dyn Fleet>> {
    Ok(store::open(config)?.fleet)
}
