//! The composition root: the one place that builds buses, stores and clients, and plugs them into roles.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_bus::embedded::{EmbeddedBus, EmbeddedOptions};
use lockstep_bus::{Bus, BusError};
use lockstep_protocol::topology::Topology;
use lockstep_worker::clock::SystemClock;
use lockstep_worker::console::{Console, ConsoleContext, Token, Tokens, TypePattern};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, TrustedUsers, WorkerContext, WorkerOptions};
use lockstep_worker::store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_worker::store::{BatchStore, Fleet, Healing, Inbox, Migrated, Schema, StoreError};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;

use crate::config::{BrokerUrl, Config, ConfigProblems, StoreUrl};
use crate::data_folder::{self, ConsoleAddress, Owned};
use crate::lifecycle::Lifecycle;

/// How long to wait before the store is asked again.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// One store, by what it can do.
#[derive(Clone, Debug)]
struct Store {
    batches: Arc<dyn BatchStore>,
    inbox: Arc<dyn Inbox>,
    fleet: Arc<dyn Fleet>,
    schema: Arc<dyn Schema>,
}

/// Everything in one process. `started` is told where the console is, once it can be asked.
///
/// # Errors
/// What keeps it from starting, or the task that failed.
pub(crate) async fn up(config: &Config, started: impl FnOnce(&ConsoleAddress)) -> anyhow::Result<()> {
    let owned = Owned::take(&config.data_dir)?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = open_store(config)?;
    let listener = listen(config).await?;
    let Some(bus) = lifecycle.starting(open_bus(config)).await.transpose()? else {
        return Ok(());
    };
    let Some(migrated) = lifecycle.starting(patiently_migrate(&store)).await.transpose()? else {
        bus.close().await;
        return Ok(());
    };
    tracing::info!(
        version = migrated.version,
        applied = migrated.applied.len(),
        "the store is up to date"
    );

    let address = ConsoleAddress {
        url: url_of(listener.local_addr()?),
        token: new_token(),
    };
    let local = Token::new("local", &address.token, vec![TypePattern::ALL]);
    let console = console_on(config, &bus, &store, [local]);
    spawn_worker(&mut lifecycle, config, &bus, &store);
    spawn_console(&mut lifecycle, console, listener);
    owned.publish(&address)?;
    started(&address);
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Works lanes.
///
/// # Errors
/// As [`up`].
pub(crate) async fn worker(config: &Config) -> anyhow::Result<()> {
    refuse_embedded(config, "worker")?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = open_store(config)?;
    let Some(bus) = lifecycle.starting(open_bus(config)).await.transpose()? else {
        return Ok(());
    };
    spawn_worker(&mut lifecycle, config, &bus, &store);
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Answers HTTP.
///
/// # Errors
/// As [`up`].
pub(crate) async fn console(config: &Config, started: impl FnOnce(SocketAddr)) -> anyhow::Result<()> {
    refuse_embedded(config, "console")?;
    let mut lifecycle = Lifecycle::start(config.worker.grace)?;
    let store = open_store(config)?;
    let listener = listen(config).await?;
    let Some(bus) = lifecycle.starting(open_bus(config)).await.transpose()? else {
        return Ok(());
    };
    if config.console.tokens.is_empty() {
        tracing::warn!("console.tokens is empty: every request will be refused");
    }
    let address = listener.local_addr()?;
    let console = console_on(config, &bus, &store, []);
    spawn_console(&mut lifecycle, console, listener);
    started(address);
    let result = lifecycle.run().await;
    bus.close().await;
    result
}

/// Brings the store's schema up to date.
///
/// # Errors
/// When the store is away or refuses.
pub(crate) async fn migrate(config: &Config) -> anyhow::Result<Migrated> {
    Ok(open_store(config)?.schema.migrate().await?)
}

/// The HTTP client of the command line. Redirects are not followed: the token goes nowhere else.
///
/// # Errors
/// When the TLS stack cannot be started.
#[expect(clippy::disallowed_methods, reason = "the one place that builds HTTP clients")]
pub(crate) fn http_client() -> anyhow::Result<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(5))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lockstep/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot start the HTTP client")
}

fn refuse_embedded(config: &Config, role: &str) -> Result<(), ConfigProblems> {
    match config.broker.url {
        BrokerUrl::Amqp(_) => Ok(()),
        BrokerUrl::Embedded => {
            let reason = format!(
                "the embedded bus lives inside one process, so `lockstep {role}` by itself would wait forever; run `lockstep up` (everything in one process), or name a broker: amqp://USER:PASSWORD@HOST:5672/VHOST"
            );
            Err(ConfigProblems::one("broker.url", reason))
        }
    }
}

async fn open_bus(config: &Config) -> anyhow::Result<Arc<dyn Bus>> {
    let opened: Result<Arc<dyn Bus>, BusError> = match &config.broker.url {
        BrokerUrl::Embedded => {
            let bus = EmbeddedBus::open(&config.data_dir, EmbeddedOptions::default());
            bus.map(|bus| bus as Arc<dyn Bus>)
        }
        BrokerUrl::Amqp(url) => {
            let options = AmqpOptions {
                ca_file: config.broker.ca_file.clone(),
                ..AmqpOptions::new(url.expose_secret())
            };
            AmqpBus::connect(options).await.map(|bus| bus as Arc<dyn Bus>)
        }
    };
    let bus = opened.map_err(|error| match error {
        BusError::Address { .. } => ConfigProblems::one("broker.url", error.to_string()).into(),
        BusError::InUse { .. } => ConfigProblems::one("data_dir", error.to_string()).into(),
        other => anyhow::Error::new(other),
    })?;
    // The embedded bus has nobody else who could declare its objects.
    if config.broker.declare || matches!(config.broker.url, BrokerUrl::Embedded) {
        bus.declare(&Topology::new(1.0)).await?;
    }
    Ok(bus)
}

fn open_store(config: &Config) -> anyhow::Result<Store> {
    let opened = match &config.store.url {
        StoreUrl::Sqlite(path) => {
            if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
                data_folder::make(folder)?;
            }
            SqliteStore::open(SqliteOptions {
                readers: usize::from(config.store.pool_size),
                ..SqliteOptions::new(path)
            })
            .map(Store::of)
        }
        StoreUrl::Postgres(url) => PostgresStore::connect(PostgresOptions {
            ca_file: config.store.ca_file.clone(),
            sessions: usize::from(config.store.pool_size),
            ..PostgresOptions::new(url.clone())
        })
        .map(Store::of),
    };
    opened.map_err(|error| ConfigProblems::one("store.url", error.to_string()).into())
}

impl Store {
    fn of<S: BatchStore + Inbox + Fleet + Schema>(store: Arc<S>) -> Self {
        Self {
            batches: store.clone(),
            inbox: store.clone(),
            fleet: store.clone(),
            schema: store,
        }
    }
}

/// Migrates, waiting for a store that is away.
async fn patiently_migrate(store: &Store) -> Result<Migrated, StoreError> {
    loop {
        match store.schema.migrate().await {
            Err(error) if error.healing() != Healing::Never => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the store is not there yet, trying on"
                );
                tokio::time::sleep(STORE_PAUSE).await;
            }
            done => return done,
        }
    }
}

async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.console.listen;
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}; choose another address with --listen or console.listen")
    })
}

fn console_on(
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    more: impl IntoIterator<Item = Token>,
) -> Console {
    let configured = config
        .console
        .tokens
        .iter()
        .map(|token| Token::new(&token.name, &token.token, token.types.clone()));
    let tokens: Tokens = configured.chain(more).collect();
    Console::new(ConsoleContext {
        bus: bus.clone(),
        inbox: store.inbox.clone(),
        fleet: store.fleet.clone(),
        schema: store.schema.clone(),
        clock: Arc::new(SystemClock),
        tokens,
    })
}

fn spawn_console(lifecycle: &mut Lifecycle, console: Console, listener: TcpListener) {
    let stop = lifecycle.soft.clone();
    lifecycle.spawn("console", async move { Ok(console.serve(listener, stop).await?) });
}

fn spawn_worker(lifecycle: &mut Lifecycle, config: &Config, bus: &Arc<dyn Bus>, store: &Store) {
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.batches.clone(),
        handlers: Arc::new(FleetHandlers),
        clock: Arc::new(SystemClock),
    };
    // Our own user is trusted: the console beside us publishes under it.
    let trusted = config
        .broker
        .trusted_users
        .iter()
        .cloned()
        .chain([bus.user().to_owned()]);
    let options = WorkerOptions {
        lanes: config.worker.lanes.clone(),
        prefetch: config.worker.prefetch,
        batch_size: usize::from(config.worker.batch_size),
        linger: config.worker.batch_linger,
        trusted_users: TrustedUsers::new(trusted),
    };
    let (stop, abandon) = (lifecycle.soft.clone(), lifecycle.hard.clone());
    lifecycle.spawn("worker", async move {
        Ok(runtime::run(context, options, stop, abandon).await?)
    });
}

/// Where clients on this machine reach a listener.
fn url_of(mut address: SocketAddr) -> String {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    format!("http://{address}")
}

/// 256 random bits.
fn new_token() -> SecretString {
    let random: [u128; 2] = rand::random();
    format!("{:032x}{:032x}", random[0], random[1]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_reach_a_listener_on_all_addresses_by_the_local_one() {
        let table = [
            ("0.0.0.0:8910", "http://127.0.0.1:8910"),
            ("[::]:8910", "http://[::1]:8910"),
            ("192.0.2.1:80", "http://192.0.2.1:80"),
        ];
        for (address, expected) in table {
            assert_eq!(url_of(address.parse().unwrap()), expected);
        }
        assert_ne!(new_token().expose_secret(), new_token().expose_secret());
    }
}
