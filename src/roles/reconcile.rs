//! Builds the periodic tasks, each of which one process of all runs: reconcile, follow-ups, retention and samples of the fleet.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::Bus;
use lockstep_clock::Clock;
use lockstep_protocol::topology::Topology;
use lockstep_worker::fleet_samples::FleetSampling;
use lockstep_worker::reconcile::{BrokerObjects, OverdueFollowUps, Reconcile, Repair};
use lockstep_worker::retention::RetentionSweep;
use lockstep_worker::runtime::{PeriodicTask, PeriodicTaskRunner, REPUBLISH_AFTER};

use super::store::Store;
use crate::config::{BrokerUrl, Config};
use crate::lifecycle::Lifecycle;

/// How often overdue follow-ups are searched. A follow-up with a due time is published at most this late.
const FOLLOW_UPS_EVERY: Duration = Duration::from_secs(5);

/// How often it is looked for a minute without a sample of the fleet: the pauses vary, and none may be missed.
const SAMPLES_EVERY: Duration = Duration::from_secs(30);

/// Starts the tasks. Each has its own lease, so a long run of one never delays another.
pub(super) fn spawn(
    lifecycle: &mut Lifecycle,
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    clock: &Arc<dyn Clock>,
) {
    let every = config.reconcile.every;
    // A queue of the embedded bus cannot be deleted.
    if config.broker.declare && matches!(config.broker.url, BrokerUrl::Amqp(_)) {
        let objects = BrokerObjects::new(bus.clone(), store.follow_ups.clone(), Topology::new(1.0));
        spawn_task(lifecycle, store, "reconcile", every, repairs(objects));
    }
    let follow_ups = OverdueFollowUps::new(
        store.follow_ups.clone(),
        store.unit_of_work.clone(),
        bus.clone(),
        clock.clone(),
        REPUBLISH_AFTER,
    );
    let every = every.min(FOLLOW_UPS_EVERY);
    spawn_task(lifecycle, store, "follow-ups", every, repairs(follow_ups));
    let sweep = RetentionSweep {
        store: store.retention.clone(),
        schema: store.schema.clone(),
        keep: config.retention.keep,
    };
    spawn_task(lifecycle, store, "retention", config.retention.every, sweep);
    let sampling = FleetSampling {
        trend: store.fleet_trend.clone(),
    };
    spawn_task(lifecycle, store, "fleet-samples", SAMPLES_EVERY, sampling);
}

fn repairs(repair: impl Repair) -> Reconcile {
    Reconcile::new(vec![Arc::new(repair)])
}

pub(super) fn spawn_task(
    lifecycle: &mut Lifecycle,
    store: &Store,
    name: impl Into<Cow<'static, str>>,
    every: Duration,
    task: impl PeriodicTask,
) {
    let name = name.into();
    let task_name = match &name {
        Cow::Borrowed(name) => *name,
        Cow::Owned(_) => "poll of a source",
    };
    let runner = PeriodicTaskRunner {
        leases: store.leases.clone(),
        name,
        every,
    };
    let stop = lifecycle.stop.clone();
    lifecycle.spawn(task_name, async move {
        runner.run(&task, stop).await;
        Ok(())
    });
}
