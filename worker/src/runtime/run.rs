//! Processes a run lane: long-running processing, concurrently, with each delivery acknowledged separately.
//!
//! Deliveries with the same key wait for one another and are processed in coalesced batches: what arrives while a run is under
//! way, or within the debounce time, is one run. The number of deliveries in flight is at most the number of permits, which is
//! the prefetch of the lane.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lockstep_bus::{Batch, Consumer, Receipt};
use lockstep_store::Keys;
use lockstep_telemetry::LaneMetrics;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Settlement;
use super::batch::with_follow_ups;
use super::coalescing::CoalescingQueue;
use super::decide::{self, Screened};
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::{Received, receive};
use super::lane::{Abandoned, LATER, LaneContext, consequences, contain, log, panic_text};
use super::lease::HeldLeases;
use super::poison::{self, PoisonCheck};
use super::processing_error::ProcessingError;
use super::run_context::RunContext;
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
    places: Vec<(usize, usize)>,
}

impl CoalescedBatch {
    fn of(messages: &[Received], checks: &[PoisonCheck], settled: &[Option<Settlement>]) -> Self {
        let mut batch = Self::default();
        for (place, message) in messages.iter().enumerate() {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            let same = |attempt: &Attempt| attempt.key == message.key;
            match batch.attempts.iter().position(same) {
                // The same message twice is one attempt.
                Some(index) if batch.attempts[index].digest == message.digest => {
                    batch.places.push((place, index));
                }
                None if checks[place] == PoisonCheck::Shared => {
                    batch.places.push((place, batch.attempts.len()));
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
                Some(ended) = runs.join_next() => {
                    let Err(error) = ended else { continue };
                    // Only a bug gets here: runs are contained. The lane ends, so that everything unacknowledged is redelivered.
                    tracing::error!(lane = %lane.context.lane, %error, "a run of the lane crashed");
                    break;
                }
                batch = consumer.take(1, Duration::ZERO) => batch,
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
        let LaneContext { stop, abandon, .. } = &self.context;
        loop {
            // A lane that stops begins nothing new.
            let debounce = tokio::time::sleep(self.options.debounce);
            let waited = stop.run_until_cancelled(debounce).await;
            if waited.is_none() || abandon.is_cancelled() {
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
        let Ok(settlements) = self.settle(&messages).await else {
            return;
        };
        fail_point::pass(FailPoint::AfterCommit);
        metrics_guard.settled(&mut messages, &settlements);
        let lane = self.context.lane;
        let outgoing = messages
            .iter()
            .zip(&settlements)
            .filter_map(|(message, settlement)| {
                log(lane, message, settlement);
                consequences(message, settlement, lane)
            });
        if self.context.confirm(outgoing.collect()).await.is_err() {
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
        let all: Vec<&Received> = messages.iter().collect();
        let checks = self.context.check_poison(&all).await?;
        let settled = self.settle_checked(messages, &checks).await;
        // Also for abandoned messages: they are given back whole.
        self.context.clear_attempts(&all).await;
        settled
    }

    async fn settle_checked(
        &self,
        messages: &[Received],
        checks: &[PoisonCheck],
    ) -> Result<Vec<Settlement>, Abandoned> {
        let deadline = Instant::now() + self.options.deadline;
        let mut settled = self.screen(messages).await?;
        let batch = CoalescedBatch::of(messages, checks, &settled);
        for (place, message) in messages.iter().enumerate() {
            let is_new = settled[place].is_none() && message.decoded.is_ok();
            if is_new && batch.contains(message) && !batch.places.iter().any(|(own, _)| *own == place) {
                settled[place] = Some(self.context.postpone(message, LATER).await?);
            }
        }
        self.run_batch(messages, batch, deadline, &mut settled).await?;
        for (place, message) in messages.iter().enumerate() {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            settled[place] = Some(match checks[place] {
                PoisonCheck::Poison => self.context.dead_letter(message, poison::poison()).await?,
                // It has not begun: no attempt is spent.
                _ if Instant::now() >= deadline => self.context.postpone(message, LATER).await?,
                PoisonCheck::Shared | PoisonCheck::Isolated => {
                    self.context.record_attempt(message).await?;
                    let attempt = Attempt::of(message, envelope.clone());
                    let mut ends = self.run_once(&[attempt], deadline).await?;
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
        let ends = self.attempt(&batch.attempts, deadline).await?;
        for (place, index) in batch.places {
            settled[place] = Some(self.settlement(&messages[place], ends[index].clone()).await?);
        }
        Ok(())
    }

    /// Settles messages that were processed before and messages that cannot be read.
    async fn screen(&self, messages: &[Received]) -> Result<Vec<Option<Settlement>>, Abandoned> {
        let keys = Keys {
            messages: messages.iter().map(|message| message.key.clone()).collect(),
            ..Keys::default()
        };
        let screened = self
            .context
            .in_transaction(&keys, |facts| {
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
    async fn attempt(&self, attempts: &[Attempt], deadline: Instant) -> Result<Vec<RunEnd>, Abandoned> {
        let ends = self.run_once(attempts, deadline).await?;
        let panicked = |end: &RunEnd| matches!(end, RunEnd::Failed(error) if error.code == lockstep_protocol::Code::Crashed);
        if attempts.len() == 1 || !ends.iter().all(panicked) {
            return Ok(ends);
        }
        tracing::warn!(lane = %self.context.lane, messages = attempts.len(), "run failed; its messages are processed one by one");
        let mut ends = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            ends.extend(self.run_once(std::slice::from_ref(attempt), deadline).await?);
        }
        Ok(ends)
    }

    /// One run under its leases. Returns as many ends as attempts.
    async fn run_once(&self, attempts: &[Attempt], deadline: Instant) -> Result<Vec<RunEnd>, Abandoned> {
        let all = |error: ProcessingError| Ok(vec![RunEnd::Failed(error); attempts.len()]);
        let names = match contain(|| self.runner.leases(attempts)) {
            Ok(names) => names,
            Err(error) => return all(error),
        };
        let wanted = names.join(", ");
        let options = &self.options;
        let acquired = HeldLeases::acquire(
            self.context.leases.clone(),
            names,
            options.lease_time,
            options.lease_wait,
        );
        let acquired = tokio::select! {
            biased;
            () = self.context.abandon.cancelled() => return Err(Abandoned),
            acquired = acquired => acquired,
        };
        let leases = match acquired {
            Ok(Some(leases)) => leases,
            Ok(None) => {
                let reason = format!("another worker holds the lease of {wanted}");
                return all(ProcessingError::later(reason));
            }
            Err(error) => return all(error.into()),
        };
        fail_point::pass(FailPoint::AfterLease);
        let ends = self.run_under(&leases, attempts, deadline).await;
        leases.release().await;
        ends
    }

    /// One run, contained: it may panic, hang, or return too few ends.
    async fn run_under(
        &self,
        leases: &HeldLeases,
        attempts: &[Attempt],
        deadline: Instant,
    ) -> Result<Vec<RunEnd>, Abandoned> {
        for attempt in attempts {
            fail_point::pass_with(attempt.envelope.subject.as_deref());
        }
        let context = RunContext::new(leases, &*self.context.store, deadline);
        let run = AssertUnwindSafe(async { self.runner.run(&context, attempts).await }).catch_unwind();
        tokio::pin!(run);
        let ended = match self.until_cancelled(&context, run.as_mut()).await {
            Ok(ended) => Ok(ended),
            Err(reason) => {
                context.cancel.cancel();
                let graceful = tokio::time::timeout(self.options.grace, run).await;
                graceful.map_err(|_| reason)
            }
        };
        let all = |error: ProcessingError| Ok(vec![RunEnd::Failed(error); attempts.len()]);
        match ended {
            Ok(Ok(mut ends)) => {
                ends.resize_with(attempts.len(), || {
                    ProcessingError::transient("the run returned no end for it").into()
                });
                Ok(ends)
            }
            Ok(Err(panic)) => all(ProcessingError::panicked(&panic_text(&*panic))),
            Err(CancelReason::Abandoned) => Err(Abandoned),
            Err(CancelReason::LeaseLost) => all(ProcessingError::later("the lease was lost")),
            Err(CancelReason::Deadline) => {
                let step = context
                    .progress
                    .step()
                    .map(|step| format!(", in the step {step}"));
                let reason = format!(
                    "the run took longer than {:?}{}",
                    self.options.deadline,
                    step.unwrap_or_default()
                );
                all(ProcessingError::transient(reason))
            }
        }
    }

    /// Waits for the end of a run, or for a reason to cancel it. When the worker stops, the run is cancelled and awaited.
    async fn until_cancelled<F: Future>(
        &self,
        context: &RunContext<'_>,
        mut run: Pin<&mut F>,
    ) -> Result<F::Output, CancelReason> {
        loop {
            tokio::select! {
                biased;
                () = self.context.abandon.cancelled() => return Err(CancelReason::Abandoned),
                ended = run.as_mut() => return Ok(ended),
                () = context.leases.lost().cancelled() => return Err(CancelReason::LeaseLost),
                () = tokio::time::sleep_until(context.deadline) => return Err(CancelReason::Deadline),
                () = self.context.stop.cancelled(), if !context.cancel.is_cancelled() => {
                    context.cancel.cancel();
                }
            }
        }
    }

    async fn settlement(&self, message: &Received, end: RunEnd) -> Result<Settlement, Abandoned> {
        match end {
            RunEnd::Committed(row) => Ok(decide::again(&row)),
            RunEnd::Applied(result) => self.context.apply(message, result).await,
            RunEnd::Failed(error) => self.context.fail(message, error).await,
        }
    }
}

/// Why a run is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CancelReason {
    Abandoned,
    LeaseLost,
    Deadline,
}
