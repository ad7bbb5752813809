//! A worker: its lanes side by side, from start to orderly stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions};
use lockstep_clock::Clock;
use lockstep_protocol::topology::{Lane, Queue};
use lockstep_store::{DeliveryAttempts, FollowUps, Leases, UnitOfWork};
use lockstep_telemetry::LaneMetrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::actor::TrustedUsers;
use super::batch::BatchLane;
use super::decide::Work;
use super::follow_up::REPUBLISH_AFTER;
use super::lane::LaneContext;
use super::run::{RunLane, RunLaneOptions};
use super::runner::Runner;
use crate::handlers::Handlers;

/// What a worker needs.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    /// Where messages come from and go to.
    pub bus: Arc<dyn Bus>,
    /// What messages change.
    pub store: Arc<dyn UnitOfWork>,
    /// Messages that messages cause.
    pub follow_ups: Arc<dyn FollowUps>,
    /// Attempts that began and did not end.
    pub delivery_attempts: Arc<dyn DeliveryAttempts>,
    /// Exclusive rights of runs.
    pub leases: Arc<dyn Leases>,
    /// Decides the messages of batched lanes.
    pub handlers: Arc<dyn Handlers>,
    /// Processes the messages of run lanes.
    pub runners: BTreeMap<Lane, Arc<dyn Runner>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Which lanes it takes; empty means all.
    pub lanes: Vec<Lane>,
    /// The most deliveries of a batched lane in flight.
    pub prefetch: u16,
    /// The most messages in one transaction.
    pub batch_size: usize,
    /// How long a batch waits for more messages.
    pub linger: Duration,
    /// How its run lanes run; the default for lanes that are not named.
    pub run_lanes: BTreeMap<Lane, RunLaneOptions>,
    /// How long a published follow-up may stay unprocessed before it is published again.
    pub republish_after: Duration,
    /// Broker users whose claim of another actor counts.
    pub trusted_users: TrustedUsers,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            prefetch: 2000,
            batch_size: 500,
            linger: Duration::from_millis(2),
            run_lanes: BTreeMap::new(),
            republish_after: REPUBLISH_AFTER,
            trusted_users: TrustedUsers::default(),
        }
    }
}

/// Why a worker does not run.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The queue of a lane cannot be read.
    #[error("the queue of lane {lane} cannot be consumed")]
    Lane {
        /// The lane.
        lane: Lane,
        /// Why.
        #[source]
        source: BusError,
    },
    /// A lane ended although the worker was not stopped.
    #[error("a lane ended unexpectedly; start the process again")]
    Ended,
}

/// Processes messages until `stop`: then it takes nothing new, finishes what it took and acknowledges it. On `abandon` whatever
/// is left goes back to its queue, with no attempt spent; runs that are under way have the grace time of their lane.
///
/// # Errors
/// See [`WorkerError`].
pub async fn run(
    context: WorkerContext,
    options: WorkerOptions,
    stop: CancellationToken,
    abandon: CancellationToken,
) -> Result<(), WorkerError> {
    let trusted = Arc::new(options.trusted_users.clone());
    let mut lanes = JoinSet::new();
    for (lane, queue) in queues(&options.lanes) {
        let lane_context = LaneContext {
            lane,
            bus: context.bus.clone(),
            store: context.store.clone(),
            follow_ups: context.follow_ups.clone(),
            delivery_attempts: context.delivery_attempts.clone(),
            leases: context.leases.clone(),
            clock: context.clock.clone(),
            trusted: trusted.clone(),
            republish_after: options.republish_after,
            stop: stop.clone(),
            abandon: abandon.clone(),
        };
        let runner = context.runners.get(&lane).filter(|_| queue == Queue::Lane(lane));
        let run_options = options
            .run_lanes
            .get(&lane)
            .copied()
            .unwrap_or_default()
            .bounded();
        let consume = match runner {
            Some(_) => ConsumeOptions {
                prefetch: run_options.permits,
                acknowledge: Acknowledge::Each,
            },
            None => ConsumeOptions {
                prefetch: options.prefetch,
                acknowledge: Acknowledge::InOrder,
            },
        };
        let consumer = context.bus.consume(queue.clone(), consume).await;
        let consumer = consumer.map_err(|source| WorkerError::Lane { lane, source })?;
        if let Some(runner) = runner {
            let work = RunLane {
                context: lane_context,
                runner: runner.clone(),
                metrics: Arc::new(LaneMetrics::of_runs(lane)),
                options: run_options,
            };
            lanes.spawn(work.run(consumer));
        } else {
            let work = BatchLane {
                context: lane_context,
                work: match queue {
                    Queue::Unrouted => Work::Route(context.handlers.clone()),
                    Queue::Lane(Lane::Dead) => Work::File,
                    Queue::Lane(_) | Queue::Results | Queue::Reply(_) => {
                        Work::Handle(context.handlers.clone())
                    }
                },
                metrics: Arc::new(LaneMetrics::of_batches(lane)),
                batch_size: options.batch_size,
                linger: options.linger,
            };
            lanes.spawn(work.run(consumer));
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

/// The queues of the chosen lanes. A worker that takes events also takes messages that had no route.
fn queues(chosen: &[Lane]) -> Vec<(Lane, Queue)> {
    let ingress_lanes = [Lane::Events, Lane::Repositories, Lane::Commands, Lane::Dead];
    let wanted = |lane: &Lane| chosen.is_empty() || chosen.contains(lane);
    let mut queues: Vec<(Lane, Queue)> = ingress_lanes
        .into_iter()
        .filter(wanted)
        .map(|lane| (lane, Queue::Lane(lane)))
        .collect();
    if wanted(&Lane::Events) {
        queues.push((Lane::Events, Queue::Unrouted));
    }
    queues
}
