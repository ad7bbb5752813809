//! Runs Lockstep's worker as in production, except for a bus that counts.

use std::io::Write;
use std::sync::Arc;

use anyhow::ensure;
use lockstep_bus::Bus;
use lockstep_bus::amqp::{AmqpBus, AmqpOptions};
use lockstep_clock::SystemClock;
use lockstep_protocol::topology::Lane;
use lockstep_store::Schema;
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_worker::handlers::FleetHandlers;
use lockstep_worker::runtime::{self, WorkerContext, WorkerOptions};
use tokio_util::sync::CancellationToken;

use crate::counting::CountingBus;
use crate::meter::{Measured, Servers};

/// What a worker prints when it is connected and waits for others.
pub(crate) const READY: &str = "ready";

/// Options of the worker.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Lockstep {
    #[arg(long)]
    pub(crate) amqp: String,
    #[arg(long)]
    pub(crate) postgres: String,
    /// Number of messages after which it ends.
    #[arg(long)]
    pub(crate) messages: u32,
    /// Prints `ready` when it is connected, begins at a line of the standard input, prints the count of each acknowledged batch, and
    /// ends with the standard input.
    #[arg(long)]
    pub(crate) together: bool,
    #[command(flatten)]
    pub(crate) servers: Servers,
}

/// Processes this number of messages of the lane `events`. Without a measurement, it has reported its counts.
///
/// # Errors
/// A server rejects a request or closes the connection.
pub(crate) async fn run(lockstep: Lockstep) -> anyhow::Result<Option<Measured>> {
    let Lockstep {
        amqp,
        postgres,
        messages,
        together,
        servers,
    } = lockstep;
    let amqp = AmqpBus::connect(AmqpOptions::new(amqp)).await?;
    let store = PostgresStore::connect(PostgresOptions::new(postgres))?;
    store.ping().await?;
    let done = CancellationToken::new();
    let bus = if together {
        begin_and_end_with_input(&done).await?;
        CountingBus::reporting(amqp)
    } else {
        CountingBus::new(amqp, messages, servers, done.clone())
    };
    let bus = Arc::new(bus);
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.clone(),
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers::default()),
        claimants: std::collections::BTreeMap::new(),
        runners: std::collections::BTreeMap::new(),
        clock: Arc::new(SystemClock),
    };
    let options = WorkerOptions {
        lanes: vec![Lane::Events],
        ..WorkerOptions::default()
    };
    runtime::run(context, options, done, CancellationToken::new()).await?;
    bus.close().await;
    let measured = bus.measured();
    ensure!(
        together || measured.is_some(),
        "the worker ended before its work was done"
    );
    Ok(measured)
}

/// Waits for a line of the standard input. Cancels `done` when it ends.
async fn begin_and_end_with_input(done: &CancellationToken) -> anyhow::Result<()> {
    writeln!(crate::stdout(), "{READY}")?;
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    let done = done.clone();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        done.cancel();
    });
    Ok(())
}
