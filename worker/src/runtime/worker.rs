//! A worker: its lanes side by side, from start to orderly stop.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Acknowledge, Bus, BusError, ConsumeOptions};
use lockstep_protocol::topology::{Lane, Queue};
use lockstep_telemetry::LaneMetrics;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::actor::TrustedUsers;
use super::batch::BatchLane;
use super::decide::Work;
use super::lane::LaneContext;
use super::run::RunLane;
use super::runner::Runner;
use crate::handlers::Handlers;
use lockstep_clock::Clock;
use lockstep_store::{BatchStore, DeadLetters, DeliveryAttempts};

/// The most messages of a run lane in hand.
const MOST_RUNS: u16 = 256;
/// How long a run may take, unless told. A message may wait for one before its own, and both together fit in 20 minutes.
const RUN_DEADLINE: Duration = Duration::from_mins(9);

/// What a worker works with.
#[derive(Clone, Debug)]
pub struct WorkerContext {
    /// Where messages come from and go to.
    pub bus: Arc<dyn Bus>,
    /// What is remembered.
    pub store: Arc<dyn BatchStore>,
    /// What could not be worked.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What began and did not end.
    pub starts: Arc<dyn DeliveryAttempts>,
    /// What messages mean.
    pub handlers: Arc<dyn Handlers>,
    /// Who runs the messages of lanes whose work takes time.
    pub runners: BTreeMap<Lane, Arc<dyn Runner>>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// How a worker works.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Which lanes it takes; empty means all there are.
    pub lanes: Vec<Lane>,
    /// The most deliveries of a lane in hand at a time.
    pub prefetch: u16,
    /// The most messages in one transaction.
    pub batch_size: usize,
    /// How long a batch waits for more messages.
    pub linger: Duration,
    /// How long a run waits for more of its kind.
    pub debounce: Duration,
    /// How long a run may take, at most nine minutes: a message may wait for one before its own, and RabbitMQ closes the
    /// channel of whoever keeps one for half an hour.
    pub run_deadline: Duration,
    /// Broker users whose word about an actor counts.
    pub trusted_users: TrustedUsers,
}

impl Default for WorkerOptions {
    fn default() -> Self {
        Self {
            lanes: Vec::new(),
            prefetch: 2000,
            batch_size: 500,
            linger: Duration::from_millis(2),
            debounce: Duration::from_millis(500),
            run_deadline: RUN_DEADLINE,
            trusted_users: TrustedUsers::default(),
        }
    }
}

/// Why a worker cannot work.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// A lane has nothing to read.
    #[error("lane {lane} cannot be worked")]
    Lane {
        /// The lane.
        lane: Lane,
        /// What the bus said.
        #[source]
        source: BusError,
    },
    /// A lane ended although nobody asked it to.
    #[error("a lane ended unasked; the process should be started again")]
    Ended,
}

/// Works until `stop`: then nothing new is taken, what was taken is finished and acknowledged. On `abandon` whatever is left
/// goes back to its queue at once, with no attempt spent.
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
            dead_letters: context.dead_letters.clone(),
            starts: context.starts.clone(),
            clock: context.clock.clone(),
            trusted: trusted.clone(),
            stop: stop.clone(),
            abandon: abandon.clone(),
        };
        let runner = context.runners.get(&lane).filter(|_| queue == Queue::Lane(lane));
        let consume = match runner {
            Some(_) => ConsumeOptions {
                prefetch: options.prefetch.min(MOST_RUNS),
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
                debounce: options.debounce,
                deadline: options.run_deadline.min(RUN_DEADLINE),
                coalesced: usize::from(MOST_RUNS),
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

/// The queues behind the chosen lanes. Whoever takes events also reads what no binding wanted.
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
