//! Builds the worker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_api::health::Listener;
use lockstep_bus::Bus;
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::authority::SourceOwners;
use lockstep_protocol::topology::Lane;
use lockstep_telemetry::Scrape;
use lockstep_worker::executions::{ElementRunner, ElementsTask, ExecutionContext, ExecutionRunner};
use lockstep_worker::handlers::{FleetHandlers, FollowedCluster, SweepWhenSynchronized};
use lockstep_worker::reconcile::make_lost_due;
use lockstep_worker::repositories::{RepositoryRunner, WatchContext, watch};
use lockstep_worker::runtime::{
    self, Claimant, RunLaneOptions, Runner, TrustedUsers, WorkerContext, WorkerOptions,
};
use tokio_util::sync::CancellationToken;

use super::store::Store;
use super::{executions, external, http, inventories, reconcile, repositories};
use crate::config::Config;
use crate::lifecycle::Lifecycle;

/// How often elements of executions are looked for whose worker crashed, whose message was lost, or that may begin.
const ELEMENTS_EVERY: Duration = Duration::from_secs(2);

/// Serves health and metrics if `worker.listen` is configured, until the returned token is cancelled, after the worker has ended.
///
/// # Errors
/// If the address is not available.
pub(super) fn listen(
    lifecycle: &mut Lifecycle,
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    scrape: &Scrape,
) -> anyhow::Result<CancellationToken> {
    let ended = CancellationToken::new();
    let Some(address) = config.worker.listen else {
        return Ok(ended);
    };
    let socket = http::listen(address, "worker.listen")?;
    tracing::info!(address = %socket.local_addr()?, "health and metrics of the worker are shown");
    let listener = Listener {
        bus: bus.clone(),
        schema: store.schema.clone(),
        scrape: scrape.clone(),
        stop: lifecycle.stop.clone(),
    };
    let end = ended.clone();
    lifecycle.spawn("listener of the worker", async move {
        listener.serve(socket, end).await;
        Ok(())
    });
    Ok(ended)
}

/// Starts the worker, the watch over repositories and the periodic tasks. Cancels `ended` when the worker has ended.
///
/// # Errors
/// If the configuration of a repository is not valid, or the certificates for devices cannot be read.
pub(super) async fn spawn(
    lifecycle: &mut Lifecycle,
    config: &Config,
    bus: &Arc<dyn Bus>,
    store: &Store,
    ended: CancellationToken,
) -> anyhow::Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let sources = repositories::sources(config)?;
    let runner = RepositoryRunner::new(sources.clone(), store.repositories.clone(), clock.clone());
    let external = external::checked_for_worker(config).await;
    let executions = executions::context(config, bus, store, &sources, &clock, external)?;
    let runs_executions = [Lane::Executions, Lane::Devices, Lane::Cvp]
        .iter()
        .any(|lane| config.worker.lanes.contains(lane));
    if runs_executions {
        let task = ElementsTask::new(executions.clone());
        reconcile::spawn_task(lifecycle, store, "elements", ELEMENTS_EVERY, task);
    }
    let context = WorkerContext {
        bus: bus.clone(),
        store: store.unit_of_work.clone(),
        follow_ups: store.follow_ups.clone(),
        delivery_attempts: store.delivery_attempts.clone(),
        leases: store.leases.clone(),
        schema: store.schema.clone(),
        handlers: Arc::new(handlers(config)),
        runners: [
            (Lane::Repositories, Arc::new(runner) as Arc<dyn Runner>),
            (
                Lane::Executions,
                Arc::new(ExecutionRunner::new(executions.clone())),
            ),
        ]
        .into(),
        claimants: claimants(config, executions),
        clock: clock.clone(),
    };
    if config.worker.lanes.contains(&Lane::Repositories) && !sources.is_empty() {
        let watching = WatchContext {
            bus: bus.clone(),
            repositories: store.repositories.clone(),
            leases: store.leases.clone(),
            schema: store.schema.clone(),
        };
        let (every, stop) = (config.repositories.poll, lifecycle.stop.clone());
        lifecycle.spawn("watch over repositories", async move {
            watch(watching, sources, every, stop).await;
            Ok(())
        });
    }
    inventories::spawn_polls(lifecycle, config, bus, store)?;
    reconcile::spawn(lifecycle, config, bus, store, &clock);
    // The own user is trusted, because a console in the same process publishes with it.
    let trusted = config
        .broker
        .trusted_users
        .iter()
        .cloned()
        .chain([bus.user().to_owned()]);
    let repositories_lane = RunLaneOptions {
        debounce: config.repositories.debounce,
        ..RunLaneOptions::default()
    };
    let executions_lane = RunLaneOptions {
        debounce: Duration::ZERO,
        ..RunLaneOptions::default()
    };
    let options = WorkerOptions {
        lanes: config.worker.lanes.clone(),
        prefetch: config.worker.prefetch,
        batch_size: usize::from(config.worker.batch_size),
        run_lanes: [
            (Lane::Repositories, repositories_lane),
            (Lane::Executions, executions_lane),
        ]
        .into(),
        trusted_users: TrustedUsers::new(trusted),
        source_owners: source_owners(config),
        ..WorkerOptions::default()
    };
    let (stop, abandon) = (lifecycle.stop.clone(), lifecycle.abandon.clone());
    let (lost_from, follow_ups) = (bus.clone(), store.follow_ups.clone());
    lifecycle.spawn("worker", async move {
        let lost = make_lost_due(&*lost_from, &*follow_ups);
        if let Some(Err(error)) = stop.run_until_cancelled(lost).await {
            tracing::warn!(%error, "whether the broker has lost follow-ups is not known; they are published again when they are overdue");
        }
        let result = runtime::run(context, options, stop, abandon).await;
        ended.cancel();
        Ok(result?)
    });
    Ok(())
}

/// What decides about messages. Clusters follow devices that become synchronized where that is configured.
fn handlers(config: &Config) -> SweepWhenSynchronized {
    SweepWhenSynchronized {
        clusters: followed_clusters(config),
        fleet: FleetHandlers {
            types: Arc::new(config.devices.types.clone()),
            ..FleetHandlers::default()
        },
    }
}

/// The clusters that are swept when a device becomes synchronized.
pub(super) fn followed_clusters(config: &Config) -> Vec<FollowedCluster> {
    let clusters = config.cvp.iter();
    let followed = clusters.filter(|(_, cluster)| cluster.sweep_when_synchronized);
    let followed = followed.map(|(name, cluster)| FollowedCluster {
        name: name.clone(),
        delay: cluster.policy.min_age,
    });
    followed.collect()
}

/// What runs elements: of devices, and of CloudVision where a cluster is configured, each with places of its own.
fn claimants(config: &Config, executions: ExecutionContext) -> BTreeMap<Lane, Arc<dyn Claimant>> {
    let mut claimants: BTreeMap<Lane, Arc<dyn Claimant>> = BTreeMap::new();
    // Most tasks wait between two readings; the client limits the requests in flight.
    let places = config
        .cvp
        .values()
        .map(|cluster| usize::from(cluster.concurrency) * 4)
        .sum();
    if places > 0 {
        let mut of_cvp = executions.clone();
        of_cvp.options.places = places;
        claimants.insert(Lane::Cvp, Arc::new(ElementRunner::of_lane(Lane::Cvp, of_cvp)));
    }
    claimants.insert(Lane::Devices, Arc::new(ElementRunner::new(executions)));
    claimants
}

/// The sources of broker users, and of the tokens that this configuration has, too.
fn source_owners(config: &Config) -> SourceOwners {
    let tokens = config.console.tokens.iter().chain(&config.gateway.tokens);
    let tokens = tokens.map(|token| (token.name.clone(), token.sources.clone()));
    let users = config.broker.sources.iter();
    let users = users.map(|user| (user.name.clone(), user.sources.clone()));
    users.chain(tokens).collect()
}
