//! Processes a run lane: long-running processing, concurrently, with each delivery acknowledged separately.
//!
//! Deliveries with the same key wait for one another and are processed in coalesced batches: what arrives while a run is under
//! way, or within the debounce time, is one run. The number of deliveries in flight is at most the number of permits, which is
//! the prefetch of the lane.

use std::collections::BTreeSet;
use std::sync::Arc;

use lockstep_bus::{Batch, Consumer, Receipt};
use lockstep_store::{AttemptStart, Keys};
use lockstep_telemetry::LaneMetrics;
use tokio::sync::RwLock;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Settlement;
use super::batch::with_follow_ups;
use super::coalescing::CoalescingQueue;
use super::decide::{self, Screened};
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::{Received, receive};
use super::lane::{Abandoned, LATER, LaneContext, contain, log};
use super::poison::{self, Checked, Counting, PoisonCheck};
use super::run_lane_options::RunLaneOptions;
use super::runner::{Attempt, RunEnd, Runner};
use crate::fail_point::{self, FailPoint};

/// A lane that runs.
#[derive(Clone, Debug)]
pub(super) struct RunLane {
    pub(super) context: LaneContext,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) metrics: Arc<LaneMetrics>,
    pub(super) options: RunLaneOptions,
    /// Runs share it. A message that may have crashed its worker has it alone, so that no other one is counted with it.
    pub(super) turns: Arc<RwLock<()>>,
}

/// A delivery in flight.
struct Job {
    message: Received,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

/// Attempts that run together, and for each message its place and the index of its attempt.
#[derive(Default)]
struct CoalescedBatch {
    attempts: Vec<Attempt>,
    starts: BTreeSet<AttemptStart>,
    places: Vec<(usize, usize)>,
}

impl CoalescedBatch {
    fn of(checked: &[Checked<'_>], settled: &[Option<Settlement>]) -> Self {
        let mut batch = Self::default();
        for (
            place,
            Checked {
                message,
                check,
                start,
            },
        ) in checked.iter().enumerate()
        {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            let same = |attempt: &Attempt| attempt.key == message.key;
            match batch.attempts.iter().position(same) {
                // The same message twice is one attempt.
                Some(index) if batch.attempts[index].digest == message.digest => {
                    batch.places.push((place, index));
                }
                None if *check == PoisonCheck::Shared => {
                    batch.places.push((place, batch.attempts.len()));
                    batch.starts.extend(start.clone());
                    batch.attempts.push(Attempt::of(message, envelope.clone()));
                }
                // Another message with the same key waits, and is found to reuse it then.
                Some(_) | None => {}
            }
        }
        batch
    }

    /// Whether this message is among the attempts.
    fn contains(&self, message: &Received) -> bool {
        self.attempts.iter().any(|attempt| attempt.key == message.key)
    }
}

impl RunLane {
    /// Runs until it is stopped or the bus is closed. Messages that are taken and not begun go back to the queue.
    pub(super) async fn run(self, mut consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        let coalescing: Arc<CoalescingQueue<Job>> = Arc::default();
        let mut runs = JoinSet::new();
        loop {
            let batch = tokio::select! {
                biased;
                () = lane.context.stop.cancelled() => break,
                () = lane.context.abandon.cancelled() => break,
                () = lane.context.cut_off.cancelled() => break,
                Some(ended) = runs.join_next() => {
                    let Err(error) = ended else { continue };
                    // Only a bug gets here: runs are contained. The lane ends, so that everything unacknowledged is redelivered.
                    tracing::error!(lane = %lane.context.lane, %error, "a run of the lane crashed");
                    break;
                }
                batch = consumer.take(1) => batch,
            };
            let Some(batch) = batch else { break };
            fail_point::pass(FailPoint::AfterReceived);
            let Some(job) = lane.job(batch) else { continue };
            match lane.key(&job.message) {
                None => {
                    runs.spawn(lane.clone().process(vec![job]));
                }
                Some(key) => {
                    if coalescing.add(&key, job) {
                        runs.spawn(lane.clone().process_key(coalescing.clone(), key));
                    }
                }
            }
        }
        while runs.join_next().await.is_some() {}
        consumer.close().await;
    }

    fn job(&self, batch: Batch) -> Option<Job> {
        let delivery = batch.deliveries.into_iter().next()?;
        let now = self.context.clock.now();
        let mut message = receive(delivery, Some(self.context.lane), &self.context.authority, now);
        Some(Job {
            metrics_guard: DeliveryMetricsGuard::of(&self.metrics, std::slice::from_mut(&mut message)),
            message,
            receipt: batch.receipt,
        })
    }

    fn key(&self, message: &Received) -> Option<String> {
        let envelope = message.decoded.as_ref().ok()?;
        contain(|| self.runner.key(&envelope.message)).unwrap_or(None)
    }

    /// Processes the messages of this key, batch after batch, until none waits.
    async fn process_key(self: Arc<Self>, coalescing: Arc<CoalescingQueue<Job>>, key: String) {
        let LaneContext {
            stop,
            abandon,
            cut_off,
            ..
        } = &self.context;
        loop {
            // A lane that stops begins nothing new.
            let debounce = tokio::time::sleep(self.options.debounce);
            let waited = stop.run_until_cancelled(debounce).await;
            if waited.is_none() || abandon.is_cancelled() || cut_off.is_cancelled() {
                return;
            }
            let batch = coalescing.take(&key, usize::from(self.options.permits));
            self.clone().process(batch).await;
            if coalescing.end(&key) {
                return;
            }
        }
    }

    /// Processes deliveries to the end: committed, answered, acknowledged. What is abandoned on the way is redelivered.
    async fn process(self: Arc<Self>, jobs: Vec<Job>) {
        let (mut messages, (receipts, metrics_guards)): (Vec<_>, (Vec<_>, Vec<_>)) = jobs
            .into_iter()
            .map(|job| (job.message, (job.receipt, job.metrics_guard)))
            .unzip();
        let mut metrics_guard = DeliveryMetricsGuard::joined(&self.metrics, metrics_guards);
        metrics_guard.begin("run");
        let Ok(mut settlements) = self.settle(&messages).await else {
            return;
        };
        fail_point::pass(FailPoint::AfterCommit);
        metrics_guard.settled(&mut messages, &settlements);
        for (message, settlement) in messages.iter().zip(&settlements) {
            log(self.context.lane, message, settlement);
        }
        let published = self.context.publish_consequences(&messages, &mut settlements);
        if published.await.is_err() {
            return;
        }
        for cause in settlements.iter().filter_map(with_follow_ups) {
            if self.context.publish_follow_ups(&cause).await.is_err() {
                return;
            }
        }
        fail_point::pass(FailPoint::AfterConfirm);
        fail_point::pass(FailPoint::BeforeAck);
        for receipt in receipts {
            receipt.ack().await;
        }
        metrics_guard.acknowledged();
    }

    async fn settle(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        let checked = self.context.check_poison(messages, Counting::Every).await?;
        let settled = self.settle_checked(messages, &checked).await;
        self.context.end_attempts(&checked, settled.as_deref().ok()).await;
        settled
    }

    async fn settle_checked(
        &self,
        messages: &[Received],
        checked: &[Checked<'_>],
    ) -> Result<Vec<Settlement>, Abandoned> {
        let deadline = Instant::now() + self.options.deadline;
        let mut settled = self.screen(messages).await?;
        let batch = CoalescedBatch::of(checked, &settled);
        for (place, message) in messages.iter().enumerate() {
            let is_new = settled[place].is_none() && message.decoded.is_ok();
            if is_new && batch.contains(message) && !batch.places.iter().any(|(own, _)| *own == place) {
                settled[place] = Some(self.context.postpone(message, LATER).await?);
            }
        }
        self.run_batch(messages, batch, deadline, &mut settled).await?;
        for (
            place,
            Checked {
                message,
                check,
                start,
            },
        ) in checked.iter().enumerate()
        {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            settled[place] = Some(match check {
                PoisonCheck::Poison => self.context.reject(message, poison::poison()).await?,
                // It has not begun: no attempt is spent.
                _ if Instant::now() >= deadline => self.context.postpone(message, LATER).await?,
                PoisonCheck::Shared | PoisonCheck::Isolated => {
                    let attempt = Attempt::of(message, envelope.clone());
                    let starts = start.iter().cloned().collect();
                    let mut ends = self.run_once(&[attempt], &starts, *check, deadline).await?;
                    self.settlement(message, ends.remove(0)).await?
                }
            });
        }
        Ok(settled.into_iter().flatten().collect())
    }

    async fn run_batch(
        &self,
        messages: &[Received],
        batch: CoalescedBatch,
        deadline: Instant,
        settled: &mut [Option<Settlement>],
    ) -> Result<(), Abandoned> {
        if batch.attempts.is_empty() {
            return Ok(());
        }
        let ends = self.attempt(&batch.attempts, &batch.starts, deadline).await?;
        for (place, index) in batch.places {
            settled[place] = Some(self.settlement(&messages[place], ends[index].clone()).await?);
        }
        Ok(())
    }

    /// Settles messages that were processed before and messages that cannot be read.
    async fn screen(&self, messages: &[Received]) -> Result<Vec<Option<Settlement>>, Abandoned> {
        let mut keys = Keys {
            messages: messages.iter().map(Received::key_and_digest).collect(),
            ..Keys::default()
        };
        let screened = self
            .context
            .in_transaction(&mut keys, |facts| {
                let now = self.context.now(facts);
                messages
                    .iter()
                    .map(|message| match decide::screen(message, facts, now) {
                        Screened::Settled(settlement) => Some(settlement),
                        Screened::New(_) => None,
                    })
                    .collect()
            })
            .await?;
        match screened {
            Ok(screened) => Ok(screened),
            Err(error) => {
                let mut settled = Vec::with_capacity(messages.len());
                for message in messages {
                    settled.push(Some(self.context.fail(message, error.clone()).await?));
                }
                Ok(settled)
            }
        }
    }

    /// One run for all of them. If it panics, one run for each, so that a bad message never fails its neighbours; all share the
    /// deadline.
    async fn attempt(
        &self,
        attempts: &[Attempt],
        starts: &BTreeSet<AttemptStart>,
        deadline: Instant,
    ) -> Result<Vec<RunEnd>, Abandoned> {
        let shared = PoisonCheck::Shared;
        let ends = self.run_once(attempts, starts, shared, deadline).await?;
        let panicked = |end: &RunEnd| matches!(end, RunEnd::Failed(error) if error.code == lockstep_protocol::Code::Crashed);
        if attempts.len() == 1 || !ends.iter().all(panicked) {
            return Ok(ends);
        }
        tracing::warn!(lane = %self.context.lane, messages = attempts.len(), "run failed; its messages are processed one by one");
        let mut ends = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let of_attempt = |start: &&AttemptStart| start.attempt.message == attempt.key;
            let starts = starts.iter().filter(of_attempt).cloned().collect();
            let attempt = std::slice::from_ref(attempt);
            ends.extend(self.run_once(attempt, &starts, shared, deadline).await?);
        }
        Ok(ends)
    }

    async fn settlement(&self, message: &Received, end: RunEnd) -> Result<Settlement, Abandoned> {
        match end {
            RunEnd::Committed(row) => Ok(decide::again(&row)),
            RunEnd::Applied(result) => self.context.apply(message, result).await,
            RunEnd::Failed(error) => self.context.fail(message, error).await,
        }
    }
}
