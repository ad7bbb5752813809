//! Runs the lanes of a worker concurrently, from start to orderly stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions};
use lockstep_clock::Clock;
use lockstep_protocol::authority::SourceOwners;
use lockstep_protocol::topology::{Lane, Queue};
use lockstep_store::{DeliveryAttempts, FollowUps, Leases, Schema, UnitOfWork};
use lockstep_telemetry::LaneMetrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::actor::TrustedUsers;
use super::authority::Authority;
use super::batch::BatchLane;
use super::claim_lane;
use super::claimant::Claimant;
use super::consuming::consume;
use super::decide::Work;
use super::follow_up::REPUBLISH_AFTER;
use super::lane::LaneContext;
use super::run::RunLane;
use super::run_lane_options::RunLaneOptions;
use super::runner::Runner;
use super::store_reach::StoreReach;
use crate::handlers::Handlers;

/// The connections and strategies of a worker.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    /// Delivers and publishes messages.
    pub bus: Arc<dyn Bus>,
    /// The transactions in which messages are processed.
    pub store: Arc<dyn UnitOfWork>,
    /// The messages that processed messages caused.
    pub follow_ups: Arc<dyn FollowUps>,
    /// The delivery attempts that began and did not end, for poison-message detection.
    pub delivery_attempts: Arc<dyn DeliveryAttempts>,
    /// The leases of runs.
    pub leases: Arc<dyn Leases>,
    /// Tells whether the store answers.
    pub schema: Arc<dyn Schema>,
    /// Decide the messages of batched lanes.
    pub handlers: Arc<dyn Handlers>,
    /// Process the messages of run lanes. The lane of executions is not taken without one; other lanes without a runner are batched
    /// lanes.
    pub runners: BTreeMap<Lane, Arc<dyn Runner>>,
    /// Take over the messages of lanes of running work. Such a lane is not taken without one.
    pub claimants: BTreeMap<Lane, Arc<dyn Claimant>>,
    /// Gives the time of decisions where the store has none.
    pub clock: Arc<dyn Clock>,
}

/// Which lanes a worker takes, and its limits.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// The lanes that the worker takes; empty means all.
    pub lanes: Vec<Lane>,
    /// The maximum number of deliveries of a batched lane in flight.
    pub prefetch: u16,
    /// The maximum number of messages in one transaction.
    pub batch_size: usize,
    /// The options of run lanes; lanes that are missing here have the default options.
    pub run_lanes: BTreeMap<Lane, RunLaneOptions>,
    /// How long a published follow-up may stay unprocessed before it is published again.
    pub republish_after: Duration,
    /// The broker users that may name another actor.
    pub trusted_users: TrustedUsers,
    /// The sources that belong to broker users and tokens.
    pub source_owners: SourceOwners,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            prefetch: 2000,
            batch_size: 500,
            run_lanes: BTreeMap::new(),
            republish_after: REPUBLISH_AFTER,
            trusted_users: TrustedUsers::default(),
            source_owners: SourceOwners::default(),
        }
    }
}

/// Why a worker does not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The broker does not deliver from the queue of a lane.
    #[error("the queue of lane {lane} cannot be consumed")]
    Lane {
        /// The lane of that queue.
        lane: Lane,
        /// The error of the broker.
        #[source]
        source: BusError,
    },
    /// A lane ended although the worker was not stopped.
    #[error("a lane ended unexpectedly; start the process again")]
    Ended,
}

/// Processes messages until `stop`. After `stop` it takes no more messages, and finishes the batches and runs that began. On
/// `abandon`, unfinished messages return to their queues and no attempt is spent; running runs have the grace time of their lane.
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(
    context: WorkerContext,
    options: WorkerOptions,
    stop: CancellationToken,
    abandon: CancellationToken,
) -> Result<(), WorkerError> {
    let mut lanes = JoinSet::new();
    for (lane, queue) in queues(&context, &options.lanes) {
        let lane_context = lane_context(&context, &options, lane, &stop, &abandon);
        let runner = context.runners.get(&lane).filter(|_| queue == Queue::Lane(lane));
        let claimant = context
            .claimants
            .get(&lane)
            .filter(|_| queue == Queue::Lane(lane));
        let run_options = options
            .run_lanes
            .get(&lane)
            .copied()
            .unwrap_or_default()
            .bounded();
        let (prefetch, acknowledge) = match (runner, claimant) {
            (Some(_), _) => (run_options.permits, Acknowledge::Each),
            (None, Some(claimant)) => (claim_lane::prefetch(claimant.places()), Acknowledge::InOrder),
            (None, None) => (options.prefetch, Acknowledge::InOrder),
        };
        let consume_options = ConsumeOptions {
            prefetch,
            acknowledge,
        };
        let consumer = context.bus.consume(queue.clone(), consume_options).await;
        let consumer = consumer.map_err(|source| WorkerError::Lane { lane, source })?;
        if let Some(runner) = runner {
            let runner = runner.clone();
            let metrics = Arc::new(LaneMetrics::of_runs(lane));
            let run = move |context, consumer| {
                let run_lane = RunLane {
                    context,
                    runner: runner.clone(),
                    metrics: metrics.clone(),
                    options: run_options,
                    turns: Arc::default(),
                };
                run_lane.run(consumer)
            };
            lanes.spawn(consume(lane_context, queue, consume_options, consumer, run));
        } else {
            let work = match queue {
                Queue::Unrouted => Work::Route(context.handlers.clone()),
                Queue::Lane(Lane::Dead) => Work::WriteDeadLetter,
                Queue::Lane(_) | Queue::Results | Queue::Reply(_) => Work::Handle(context.handlers.clone()),
            };
            let metrics = Arc::new(LaneMetrics::of_batches(lane));
            let batch_size = options.batch_size;
            let batches = move |context| BatchLane {
                context,
                work: work.clone(),
                metrics: metrics.clone(),
                batch_size,
                duplicates: Arc::default(),
            };
            if let Some(claimant) = claimant.cloned() {
                let consuming = (lane_context, queue, consume_options, consumer);
                lanes.spawn(claim_lane::run(claimant, consuming, batches));
            } else {
                let run = move |context, consumer| batches(context).run(consumer);
                lanes.spawn(consume(lane_context, queue, consume_options, consumer, run));
            }
        }
    }
    tracing::info!(lanes = lanes.len(), "worker started");
    while lanes.join_next().await.is_some() {
        if !stop.is_cancelled() && !abandon.is_cancelled() {
            stop.cancel();
            while lanes.join_next().await.is_some() {}
            return Err(WorkerError::Ended);
        }
    }
    tracing::info!("worker stopped");
    Ok(())
}

fn lane_context(
    context: &WorkerContext,
    options: &WorkerOptions,
    lane: Lane,
    stop: &CancellationToken,
    abandon: &CancellationToken,
) -> LaneContext {
    let authority = Authority {
        trusted: options.trusted_users.clone(),
        owners: options.source_owners.clone(),
    };
    LaneContext {
        lane,
        bus: context.bus.clone(),
        store: context.store.clone(),
        follow_ups: context.follow_ups.clone(),
        delivery_attempts: context.delivery_attempts.clone(),
        leases: context.leases.clone(),
        clock: context.clock.clone(),
        authority: Arc::new(authority),
        republish_after: options.republish_after,
        store_reach: StoreReach::new(context.schema.clone()),
        owed: Arc::default(),
        cut_off: CancellationToken::new(),
        stop: stop.clone(),
        abandon: abandon.clone(),
    }
}

/// The queues of the chosen lanes. A worker that takes the events lane also takes messages that had no route.
fn queues(context: &WorkerContext, chosen: &[Lane]) -> Vec<(Lane, Queue)> {
    let lanes = [
        Lane::Events,
        Lane::Repositories,
        Lane::Commands,
        Lane::Executions,
        Lane::Devices,
        Lane::Cvp,
        Lane::Dead,
    ];
    let wanted = |lane: &Lane| {
        let able = match lane {
            Lane::Executions => context.runners.contains_key(lane),
            Lane::Devices | Lane::Cvp => context.claimants.contains_key(lane),
            _ => true,
        };
        able && (chosen.is_empty() || chosen.contains(lane))
    };
    let mut queues: Vec<(Lane, Queue)> = lanes
        .into_iter()
        .filter(wanted)
        .map(|lane| (lane, Queue::Lane(lane)))
        .collect();
    if wanted(&Lane::Events) {
        queues.push((Lane::Events, Queue::Unrouted));
    }
    queues
}
