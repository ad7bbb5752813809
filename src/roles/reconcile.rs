//! Builds what is done now and then by one process of all: reconcile and retention.

use std::sync::Arc;

use lockstep_bus::Bus;
use lockstep_clock::Clock;
use lockstep_protocol::topology::Topology;
use lockstep_worker::reconcile::{BrokerObjects, Reconcile, Repair, RequeuedDeadLetters};
use lockstep_worker::retention::RetentionSweep;
use lockstep_worker::runtime::{PeriodicTask, PeriodicTaskRunner};

use super::store::Store;
use crate::config::{BrokerUrl, Config};
use crate::lifecycle::Lifecycle;

/// Starts both, each under a lease of its own: deleting may take long, and must not keep repairs waiting.
pub(super) fn spawn(
    lifecycle: &mut Lifecycle,
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    clock: &Arc<dyn Clock>,
) {
    let periodic_task = |name, every| PeriodicTaskRunner {
        leases: store.leases.clone(),
        name,
        every,
    };
    let reconcile = Reconcile::new(repairs(config, bus, store, clock));
    go_round(
        lifecycle,
        periodic_task("reconcile", config.reconcile.every),
        reconcile,
    );
    let sweep = RetentionSweep {
        store: store.retention.clone(),
        clock: clock.clone(),
        keep: config.retention.keep,
    };
    go_round(
        lifecycle,
        periodic_task("retention", config.retention.every),
        sweep,
    );
}

fn go_round(lifecycle: &mut Lifecycle, periodic_task: PeriodicTaskRunner, round: impl PeriodicTask) {
    let stop = lifecycle.soft.clone();
    lifecycle.spawn(periodic_task.name, async move {
        periodic_task.run(&round, stop).await;
        Ok(())
    });
}

/// Objects first: what is published needs them.
fn repairs(
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    clock: &Arc<dyn Clock>,
) -> Vec<Arc<dyn Repair>> {
    let mut repairs: Vec<Arc<dyn Repair>> = Vec::new();
    // Nobody can delete a queue of the embedded bus.
    if config.broker.declare && matches!(config.broker.url, BrokerUrl::Amqp(_)) {
        repairs.push(Arc::new(BrokerObjects::new(bus.clone(), Topology::new(1.0))));
    }
    let dead_letters = store.dead_letters.clone();
    let turn = config.reconcile.every;
    repairs.push(Arc::new(RequeuedDeadLetters::new(
        dead_letters,
        bus.clone(),
        clock.clone(),
        turn,
    )));
    repairs
}
