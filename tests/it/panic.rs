//! A handler panics in a full batch: the other messages are applied; its message is retried after each delay and dead-lettered.

use std::sync::Arc;

use anyhow::Result;
use jiff::Timestamp;
use lockstep_clock::SystemClock;
use lockstep_protocol::topology::Topology;
use lockstep_protocol::{Code, Envelope};
use lockstep_store::postgres::{PostgresOptions, PostgresStore};
use lockstep_store::sqlite::{SqliteOptions, SqliteStore};
use lockstep_store::{DeliveryAttempts, Facts, FollowUps, Keys, Leases, Schema, UnitOfWork};
use lockstep_worker::handlers::{Decision, FleetHandlers, Handlers, Rejection};
use lockstep_worker::runtime::{WorkerContext, WorkerOptions, run};
use tokio_util::sync::CancellationToken;

use crate::system::load::{dead, hostname, outgoing};
use crate::system::{Expected, Ground, Load, RETRY_DELAY_SCALE, Scene, Sent};

const LOAD: Load = Load {
    devices: 10,
    events: 200,
};

/// The real handlers, except that messages about one device panic.
#[derive(Debug)]
struct PanicsAboutOneDevice;

impl Handlers for PanicsAboutOneDevice {
    fn keys(&self, envelope: &Envelope, keys: &mut Keys) {
        FleetHandlers::default().keys(envelope, keys);
    }

    fn decide(&self, envelope: &Envelope, facts: &Facts, now: Timestamp) -> Result<Decision, Rejection> {
        assert_ne!(
            envelope.subject.as_deref(),
            Some("sw3"),
            "panics on purpose for sw3"
        );
        FleetHandlers::default().decide(envelope, facts, now)
    }
}

/// One store behind the traits that a worker needs.
type Stores = (
    Arc<dyn UnitOfWork>,
    Arc<dyn FollowUps>,
    Arc<dyn DeliveryAttempts>,
    Arc<dyn Leases>,
    Arc<dyn Schema>,
);

fn stores<S: UnitOfWork + FollowUps + DeliveryAttempts + Leases + Schema>(store: Arc<S>) -> Stores {
    (store.clone(), store.clone(), store.clone(), store.clone(), store)
}

async fn in_a_full_batch(ground: Ground) -> Result<()> {
    let scene = Scene::new(ground).await?;
    let bus = scene.bus().await?;
    bus.declare(&Topology::new(RETRY_DELAY_SCALE)).await?;
    let (store, follow_ups, delivery_attempts, leases, schema) = match scene.servers() {
        Ok(servers) => stores(PostgresStore::connect(PostgresOptions::new(
            servers.schema.url(),
        ))?),
        Err(_) => stores(SqliteStore::open(SqliteOptions::new(
            scene.folder().join("lockstep-data/store.sqlite"),
        ))?),
    };
    let mut sent: Sent = LOAD.publish(&*bus).await?;
    for expected in sent.values_mut() {
        if *expected
            == (Expected::Applied {
                flags: Some(hostname(3)),
            })
        {
            *expected = dead(Code::Crashed);
        }
    }
    let context = WorkerContext {
        bus: bus.clone(),
        store,
        follow_ups,
        delivery_attempts,
        leases,
        schema,
        handlers: Arc::new(PanicsAboutOneDevice),
        claimants: std::collections::BTreeMap::new(),
        runners: std::collections::BTreeMap::new(),
        clock: Arc::new(SystemClock),
    };
    let stop = CancellationToken::new();
    let worker = tokio::spawn(run(
        context,
        WorkerOptions::default(),
        stop.clone(),
        CancellationToken::new(),
    ));
    scene.oracle().processed(&sent).await?;

    // Messages after the panics are processed as usual.
    let last = crate::system::load::update(&hostname(4));
    bus.publish(vec![outgoing(&last)]).await?;
    sent.insert(last.identity.clone(), crate::system::load::flags(&last));
    scene.oracle().processed(&sent).await?;
    stop.cancel();
    worker.await??;
    scene.oracle().check(&sent, &*bus).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_batch_on_servers() -> Result<()> {
    in_a_full_batch(Ground::Servers).await
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_full_batch_embedded() -> Result<()> {
    in_a_full_batch(Ground::Embedded).await
}
