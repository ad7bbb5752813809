//! The composition root: builds buses, stores and clients, and starts the roles with them. Nothing else builds them.

mod broker;
mod console;
mod cvp;
pub(crate) mod descriptors;
mod devices;
mod doctor;
mod executions;
mod external;
mod gateway;
mod http;
mod inventories;
mod metrics;
mod oidc;
mod providers;
mod reconcile;
mod rendering;
mod repositories;
mod rest;
mod store;
mod sync;
mod sync_rules;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;

use lockstep_bus::Bus;
use lockstep_http::Token;
use lockstep_protocol::{Role, TypePattern};
use lockstep_store::Migrated;
use secrecy::SecretString;

pub(crate) use cvp::{CVP_AUTHOR, cvp_client};
pub(crate) use devices::{ConfiguredCredentials, device_authorities};
pub(crate) use doctor::{
    amqp_options, git_version, new_secret, polled_sources, postgres, schema, seen_fleet, seen_repositories,
    sources, vhost,
};
pub(crate) use external::{ExternalCheck, check_external};
pub(crate) use http::{http_client, management_client};
pub(crate) use inventories::client as source_client;
pub(crate) use oidc::options as oidc_options;
pub(crate) use providers::add as add_providers;

use descriptors::Servers;

use crate::config::Config;
use crate::data_folder::{self, ConsoleAddress, Owned};
use crate::lifecycle::Lifecycle;

/// The address of the gateway in [`up`], with a token for events and nothing else.
#[derive(Debug)]
pub(crate) struct GatewayAddress {
    pub(crate) url: String,
    pub(crate) token: SecretString,
}

impl GatewayAddress {
    /// The name of the token, which is the sender of the events. It is not that of the console's token: a program that has this
    /// token is not the operator.
    pub(crate) const SENDER: &str = "local-events";
}

/// Runs everything in one process. Calls `started` with the addresses of console and gateway when both accept requests.
///
/// # Errors
/// If the start fails, or a task fails later.
pub(crate) async fn up(
    config: &Config,
    started: impl FnOnce(&ConsoleAddress, &GatewayAddress),
) -> anyhow::Result<()> {
    let owned = Owned::take(&config.data_dir)?;
    let connections = descriptors::granted(config, Servers::BOTH)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let listener = http::listen(config.console.listen, "--listen or console.listen")?;
    let gateway_listener = http::listen(config.gateway.listen, "--gateway-listen or gateway.listen")?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let Some(migrated) = lifecycle
        .starting(store::migrate_with_retries(&store))
        .await
        .transpose()?
    else {
        bus.close().await;
        return Ok(());
    };
    tracing::info!(
        version = migrated.version,
        applied = migrated.applied.len(),
        "the store is up to date"
    );

    let address = ConsoleAddress {
        url: http::url_of(listener.local_addr()?),
        token: console::new_token(),
    };
    // Whoever may read the data folder owns this installation.
    let local = Token::new("local", &address.token, vec![TypePattern::ALL]).with_role(Role::Admin);
    let scrape = metrics::with_fleet(&mut lifecycle, &bus, &store);
    let console = console::build(config, &bus, &store, scrape.clone(), connections.console, [local])?;
    let ended = worker::listen(&mut lifecycle, config, &bus, &store, &scrape)?;
    worker::spawn(&mut lifecycle, config, &bus, &store, ended).await?;
    console::spawn(&mut lifecycle, console, listener);
    let gateway_address = GatewayAddress {
        url: http::url_of(gateway_listener.local_addr()?),
        token: console::new_token(),
    };
    // The gateway takes no commands, whatever the token allows.
    let events = Token::new(
        GatewayAddress::SENDER,
        &gateway_address.token,
        vec![TypePattern::ALL],
    );
    let gateway = gateway::build(config, &bus, scrape, connections.gateway, [events]);
    gateway::spawn(&mut lifecycle, gateway, gateway_listener);
    owned.publish(&address)?;
    started(&address, &gateway_address);
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Runs a worker.
///
/// # Errors
/// As [`up`].
pub(crate) async fn worker(config: &Config) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "worker")?;
    descriptors::granted(config, Servers::NONE)?;
    // Clones of repositories are kept there.
    data_folder::open(&config.data_dir)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    // Health is served before the broker is available: until then the worker is alive, but not ready.
    let scrape = metrics::with_store(&mut lifecycle, &bus, &store);
    let ended = worker::listen(&mut lifecycle, config, &bus, &store, &scrape)?;
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    worker::spawn(&mut lifecycle, config, &bus, &store, ended).await?;
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Runs a console.
///
/// # Errors
/// As [`up`].
pub(crate) async fn console(config: &Config, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "console")?;
    let connections = descriptors::granted(config, Servers::CONSOLE)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let listener = http::listen(config.console.listen, "--listen or console.listen")?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    if config.console.tokens.is_empty() {
        tracing::warn!("console.tokens is empty; the console rejects every request");
    }
    let address = listener.local_addr()?;
    let scrape = metrics::with_fleet(&mut lifecycle, &bus, &store);
    let console = console::build(config, &bus, &store, scrape, connections.console, [])?;
    console::spawn(&mut lifecycle, console, listener);
    started(address);
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Runs a gateway.
///
/// # Errors
/// As [`up`].
pub(crate) async fn gateway(config: &Config, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "gateway")?;
    let connections = descriptors::granted(config, Servers::GATEWAY)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let listener = http::listen(config.gateway.listen, "--listen or gateway.listen")?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    let address = listener.local_addr()?;
    let scrape = metrics::of_bus(&mut lifecycle, &bus);
    let gateway = gateway::build(config, &bus, scrape, connections.gateway, []);
    gateway::spawn(&mut lifecycle, gateway, listener);
    started(address);
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Declares the broker's objects; false if the process is stopped before the broker is available.
async fn declared(config: &Config, lifecycle: &Lifecycle, bus: &Arc<dyn Bus>) -> anyhow::Result<bool> {
    let declared = lifecycle
        .starting(broker::declare(config, bus))
        .await
        .transpose()?;
    if declared.is_none() {
        bus.close().await;
    }
    Ok(declared.is_some())
}

/// Migrates the store to the schema of this version.
///
/// # Errors
/// If the store is unavailable or a migration fails.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<Migrated> {
    Ok(store::open(config)?.schema.migrate().await?)
}
