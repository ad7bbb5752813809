//! The run lane: work that takes time, side by side, each acknowledged by itself.
//!
//! Deliveries with the same key wait for one another and are worked in bursts: what arrives while a run is under way, or
//! within the debounce time, is one run. Never more is in hand than there are permits, which is the lane's prefetch.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lockstep_bus::{Batch, Consumer, Receipt};
use lockstep_protocol::topology::RetryDelay;
use lockstep_telemetry::LaneMetrics;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Settlement;
use super::coalescing::CoalescingQueue;
use super::decide::{self, Screened};
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::{Received, receive};
use super::lane::{Abandoned, LaneContext, consequences, contain, log, panic_text};
use super::poison::{self, PoisonCheck};
use super::runner::{Attempt, RunEnd, Runner};
use super::settlement::Failure;
use crate::fail_point::{self, FailPoint};
use lockstep_store::Keys;

/// How long a message waits that could not be tried yet.
const LATER: RetryDelay = RetryDelay::Seconds5;

/// A lane that runs.
#[derive(Clone, Debug)]
pub(super) struct RunLane {
    pub(super) context: LaneContext,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) metrics: Arc<LaneMetrics>,
    /// How long a burst waits for more of its kind.
    pub(super) debounce: Duration,
    /// How long a run may take.
    pub(super) deadline: Duration,
    /// The most messages in a burst.
    pub(super) coalesced: usize,
}

/// A delivery in hand.
struct Job {
    message: Received,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

/// Attempts that run together, and for each message of theirs its place and its attempt.
#[derive(Default)]
struct CoalescedBatch {
    attempts: Vec<Attempt>,
    places: Vec<(usize, usize)>,
}

impl CoalescedBatch {
    /// What runs together: each message once, and where it stands among the messages.
    fn of(messages: &[Received], checks: &[PoisonCheck], settled: &mut [Option<Settlement>]) -> Self {
        let mut coalesced = Self::default();
        // The same message twice in a burst is one attempt; another one under the same identity waits its turn, and is
        // found out then.
        for (place, message) in messages.iter().enumerate() {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            let same = |attempt: &Attempt| attempt.identity == message.identity;
            match coalesced.attempts.iter().position(same) {
                Some(index) if coalesced.attempts[index].digest == message.digest => {
                    coalesced.places.push((place, index));
                }
                Some(_) => settled[place] = Some(Settlement::Postpone { delay: LATER }),
                None if checks[place] == PoisonCheck::Together => {
                    coalesced.places.push((place, coalesced.attempts.len()));
                    coalesced.attempts.push(Attempt::of(message, envelope.clone()));
                }
                None => {}
            }
        }
        coalesced
    }
}

impl RunLane {
    /// Works until told to stop, or until the bus is closed. What was taken and not begun goes back to the queue.
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
                    // Only a bug gets here: runs are contained. The lane ends, so that everything unacknowledged comes again.
                    tracing::error!(lane = %lane.context.lane, %error, "a run of the lane died");
                    break;
                }
                batch = consumer.take(1, Duration::ZERO) => batch,
            };
            let Some(batch) = batch else { break };
            fail_point::pass(FailPoint::AfterReceived);
            let Some(job) = lane.job(batch) else { continue };
            match lane.key(&job.message) {
                None => {
                    runs.spawn(lane.clone().work(vec![job]));
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
        let mut message = receive(delivery, self.context.lane, &self.context.trusted, now);
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

    /// Works what has this key, burst after burst, until nothing waits.
    async fn process_key(self: Arc<Self>, coalescing: Arc<CoalescingQueue<Job>>, key: String) {
        let LaneContext { stop, abandon, .. } = &self.context;
        loop {
            // Whoever is told to stop begins nothing new.
            let calm = stop.run_until_cancelled(tokio::time::sleep(self.debounce)).await;
            if calm.is_none() || abandon.is_cancelled() {
                return;
            }
            self.clone().work(coalescing.take(&key, self.coalesced)).await;
            if coalescing.end(&key) {
                return;
            }
        }
    }

    /// Works deliveries to the end: committed, answered, acknowledged. What is abandoned on the way comes again.
    async fn work(self: Arc<Self>, jobs: Vec<Job>) {
        let (mut messages, (receipts, metrics_guards)): (
            Vec<Received>,
            (Vec<Receipt>, Vec<DeliveryMetricsGuard>),
        ) = jobs
            .into_iter()
            .map(|job| (job.message, (job.receipt, job.metrics_guard)))
            .unzip();
        let mut metrics_guard = DeliveryMetricsGuard::joined(&self.metrics, metrics_guards);
        metrics_guard.begun("run");
        let Ok(settlements) = self.settle(&messages).await else {
            return;
        };
        fail_point::pass(FailPoint::AfterCommit);
        metrics_guard.settled(&mut messages, &settlements);
        let lane = self.context.lane;
        let outgoing = messages
            .iter()
            .zip(&settlements)
            .flat_map(|(message, settlement)| {
                log(lane, message, settlement);
                consequences(message, settlement, lane)
            });
        if self.context.confirm(outgoing.collect()).await.is_err() {
            return;
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
        let settled = self.settle_suspects(messages, &checks).await;
        // Also what is abandoned: it is given back whole.
        self.context.forget_starts(&all).await;
        settled
    }

    async fn settle_suspects(
        &self,
        messages: &[Received],
        checks: &[PoisonCheck],
    ) -> Result<Vec<Settlement>, Abandoned> {
        let deadline = Instant::now() + self.deadline;
        let mut settled = self.screen(messages).await?;
        let together = CoalescedBatch::of(messages, checks, &mut settled);
        self.run_coalesced(messages, together, deadline, &mut settled)
            .await?;
        for (place, message) in messages.iter().enumerate() {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            settled[place] = Some(match checks[place] {
                PoisonCheck::Poison => self.context.dead_letter(message, poison::poison()).await?,
                // Not begun, nothing spent.
                _ if Instant::now() >= deadline => Settlement::Postpone { delay: LATER },
                _ => {
                    self.context.note_start(message).await?;
                    let attempt = Attempt::of(message, envelope.clone());
                    match self.run_once(&[attempt], deadline).await? {
                        Ok(mut ends) => self.settlement(message, ends.remove(0)).await?,
                        Err(failure) => self.context.fail(message, failure).await?,
                    }
                }
            });
        }
        Ok(settled.into_iter().flatten().collect())
    }

    async fn run_coalesced(
        &self,
        messages: &[Received],
        coalesced: CoalescedBatch,
        deadline: Instant,
        settled: &mut [Option<Settlement>],
    ) -> Result<(), Abandoned> {
        if coalesced.attempts.is_empty() {
            return Ok(());
        }
        let ends = self.attempt(&coalesced.attempts, deadline).await?;
        for (place, index) in coalesced.places {
            let message = &messages[place];
            settled[place] = Some(match ends[index].clone() {
                Ok(end) => self.settlement(message, end).await?,
                Err(failure) => self.context.fail(message, failure).await?,
            });
        }
        Ok(())
    }

    /// Sorts out what was worked before, and what can never be worked.
    async fn screen(&self, messages: &[Received]) -> Result<Vec<Option<Settlement>>, Abandoned> {
        let keys = Keys {
            identities: messages.iter().map(|message| message.identity.clone()).collect(),
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
            Err(failure) => {
                let mut settled = Vec::with_capacity(messages.len());
                for message in messages {
                    settled.push(Some(self.context.fail(message, failure.clone()).await?));
                }
                Ok(settled)
            }
        }
    }

    /// One run for all of them. Where it panics, one for each, so that a bad message never fails its neighbours; the
    /// deadline is that of all together.
    async fn attempt(
        &self,
        attempts: &[Attempt],
        deadline: Instant,
    ) -> Result<Vec<Result<RunEnd, Failure>>, Abandoned> {
        let failure = match self.run_once(attempts, deadline).await? {
            Ok(ends) => return Ok(ends.into_iter().map(Ok).collect()),
            Err(failure) => failure,
        };
        if attempts.len() == 1 || !matches!(failure, Failure::Panicked(_)) {
            return Ok(vec![Err(failure); attempts.len()]);
        }
        tracing::warn!(lane = %self.context.lane, messages = attempts.len(), ?failure, "burst failed; working it one by one");
        let mut ends = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let end = self.run_once(std::slice::from_ref(attempt), deadline).await?;
            ends.push(end.map(|mut ends| ends.remove(0)));
        }
        Ok(ends)
    }

    /// One run, contained: it may panic, hang, or answer for fewer than it was given. As many ends as attempts.
    async fn run_once(
        &self,
        attempts: &[Attempt],
        deadline: Instant,
    ) -> Result<Result<Vec<RunEnd>, Failure>, Abandoned> {
        for attempt in attempts {
            fail_point::pass_with(attempt.envelope.subject.as_deref());
        }
        let run = AssertUnwindSafe(async { self.runner.run(attempts).await }).catch_unwind();
        let ended = tokio::select! {
            biased;
            () = self.context.abandon.cancelled() => return Err(Abandoned),
            ended = tokio::time::timeout_at(deadline, run) => ended,
        };
        Ok(match ended {
            Ok(Ok(mut ends)) => {
                ends.resize_with(attempts.len(), || {
                    RunEnd::Failed("the run said nothing about it".to_owned())
                });
                Ok(ends)
            }
            Ok(Err(panic)) => Err(Failure::Panicked(panic_text(&*panic))),
            Err(_) => Err(Failure::Transient(format!(
                "the run took longer than {:?}",
                self.deadline
            ))),
        })
    }

    async fn settlement(&self, message: &Received, end: RunEnd) -> Result<Settlement, Abandoned> {
        match end {
            RunEnd::Committed(row) => Ok(decide::again(&row)),
            RunEnd::Applied(result) => self.context.apply(message, result).await,
            RunEnd::Rejected(rejection) => self.context.dead_letter(message, rejection).await,
            RunEnd::Failed(reason) => self.context.fail(message, Failure::Transient(reason)).await,
            RunEnd::Later(reason) => {
                tracing::info!(lane = %self.context.lane, message.id = %message.identity.id, reason, "not yet");
                Ok(Settlement::Postpone { delay: LATER })
            }
        }
    }
}
