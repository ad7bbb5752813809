//! Runs Lockstep's worker as in production, except for a bus that counts.

use std::sync::Arc;

use anyhow::Context;
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
    #[command(flatten)]
    pub(crate) servers: Servers,
}

/// Processes this number of messages of the lane `events`.
///
/// # Errors
/// A server rejects a request or closes the connection.
pub(crate) async fn run(lockstep: Lockstep) -> anyhow::Result<Measured> {
    let Lockstep {
        amqp,
        postgres,
        messages,
        servers,
    } = lockstep;
    let amqp = AmqpBus::connect(AmqpOptions::new(amqp)).await?;
    let store = PostgresStore::connect(PostgresOptions::new(postgres))?;
    store.ping().await?;
    let done = CancellationToken::new();
    let bus = Arc::new(CountingBus::new(amqp, messages, servers, done.clone()));
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.clone(),
        follow_ups: store.clone(),
        delivery_attempts: store.clone(),
        leases: store.clone(),
        schema: store,
        handlers: Arc::new(FleetHandlers),
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
    bus.measured()
        .context("the worker ended before its work was done")
}
