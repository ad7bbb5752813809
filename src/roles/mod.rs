//! The composition root: the one place that builds buses, stores and clients, and plugs them into roles.

mod broker;
mod console;
mod cvp;
mod doctor;
mod gateway;
mod http;
mod metrics;
mod reconcile;
mod repositories;
mod store;
mod worker;

use std::net::SocketAddr;
use std::sync::Arc;

use lockstep_bus::Bus;
use lockstep_http::{Token, TypePattern};
use lockstep_store::Migrated;

pub(crate) use cvp::cvp_client;
pub(crate) use doctor::{amqp_options, git_version, new_secret, schema, seen_repositories, sources, vhost};
pub(crate) use http::{http_client, management_client};

use crate::config::Config;
use crate::data_folder::{ConsoleAddress, Owned};
use crate::lifecycle::Lifecycle;

/// Everything in one process. `started` is told where console and gateway are, once they can be asked.
///
/// # Errors
/// What keeps it from starting, or the task that failed.
pub(crate) async fn up(config: &Config, started: impl FnOnce(&ConsoleAddress, &str)) -> anyhow::Result<()> {
    let owned = Owned::take(&config.data_dir)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let listener = http::listen(config.console.listen, "--listen or console.listen").await?;
    let gateway_listener = http::listen(config.gateway.listen, "--gateway-listen or gateway.listen").await?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let Some(migrated) = lifecycle
        .starting(store::patiently_migrate(&store))
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
    let local = Token::new("local", &address.token, vec![TypePattern::ALL]);
    let scrape = metrics::with_fleet(&mut lifecycle, &bus, &store);
    let console = console::build(config, &bus, &store, scrape.clone(), [local]);
    let ended = worker::listen(&mut lifecycle, config, &bus, &store, &scrape).await?;
    worker::spawn(&mut lifecycle, config, &bus, &store, ended)?;
    console::spawn(&mut lifecycle, console, listener);
    let gateway_url = http::url_of(gateway_listener.local_addr()?);
    let gateway = gateway::build(config, &bus, scrape);
    gateway::spawn(&mut lifecycle, gateway, gateway_listener);
    owned.publish(&address)?;
    started(&address, &gateway_url);
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Works lanes.
///
/// # Errors
/// As [`up`].
pub(crate) async fn worker(config: &Config) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "worker")?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    // A worker whose broker is not there yet is alive, and says that it is not ready.
    let scrape = metrics::with_store(&mut lifecycle, &bus, &store);
    let ended = worker::listen(&mut lifecycle, config, &bus, &store, &scrape).await?;
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    worker::spawn(&mut lifecycle, config, &bus, &store, ended)?;
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Answers HTTP.
///
/// # Errors
/// As [`up`].
pub(crate) async fn console(config: &Config, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "console")?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = store::open(config)?;
    let listener = http::listen(config.console.listen, "--listen or console.listen").await?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    if config.console.tokens.is_empty() {
        tracing::warn!("console.tokens is empty: every request will be refused");
    }
    let address = listener.local_addr()?;
    let scrape = metrics::with_fleet(&mut lifecycle, &bus, &store);
    let console = console::build(config, &bus, &store, scrape, []);
    console::spawn(&mut lifecycle, console, listener);
    started(address);
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Takes webhooks and events.
///
/// # Errors
/// As [`up`].
pub(crate) async fn gateway(config: &Config, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    broker::refuse_embedded(config, "gateway")?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let listener = http::listen(config.gateway.listen, "--listen or gateway.listen").await?;
    let Some(bus) = lifecycle.starting(broker::connect(config)).await.transpose()? else {
        return Ok(());
    };
    let address = listener.local_addr()?;
    let scrape = metrics::of_bus(&mut lifecycle, &bus);
    gateway::spawn(&mut lifecycle, gateway::build(config, &bus, scrape), listener);
    started(address);
    if !declared(config, &lifecycle, &bus).await? {
        return Ok(());
    }
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Declares what is to be declared; false if the process was told to stop before the broker was there.
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

/// Brings the store's schema up to date.
///
/// # Errors
/// When the store is away or refuses.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<Migrated> {
    Ok(store::open(config)?.schema.migrate().await?)
}
