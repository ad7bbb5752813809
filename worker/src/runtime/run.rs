//! The run lane: work that takes time, side by side, each acknowledged by itself.
//!
//! Deliveries with the same key wait for one another and are worked in bursts: what arrives while a run is under way, or
//! within the debounce time, is one run. Never more is in hand than there are permits, which is the lane's prefetch.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use lockstep_bus::{Consumer, Receipt};
use lockstep_protocol::topology::Rung;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Settlement;
use super::decide::{self, Screened};
use super::intake::{Received, receive};
use super::lane::{Abandoned, LaneContext, consequences, contain, log, panic_text};
use super::runner::{Attempt, RunEnd, Runner};
use super::settlement::Failure;
use crate::fail_point::{self, FailPoint};
use crate::store::Keys;

/// How long a message waits that could not be tried yet.
const LATER: Rung = Rung::Seconds5;

/// A lane that runs.
#[derive(Clone, Debug)]
pub(super) struct RunLane {
    pub(super) context: LaneContext,
    pub(super) runner: Arc<dyn Runner>,
    /// How long a burst waits for more of its kind.
    pub(super) debounce: Duration,
    /// How long a run may take.
    pub(super) deadline: Duration,
    /// The most messages in a burst.
    pub(super) burst: usize,
}

/// A delivery in hand.
struct Job {
    message: Received,
    receipt: Receipt,
}

impl RunLane {
    /// Works until told to stop, or until the bus is closed. What was taken and not begun goes back to the queue.
    pub(super) async fn run(self, mut consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        let mut runs = JoinSet::new();
        let mut bursts: HashMap<String, mpsc::UnboundedSender<Job>> = HashMap::new();
        loop {
            let batch = tokio::select! {
                biased;
                () = lane.context.stop.cancelled() => break,
                batch = consumer.take(1, Duration::ZERO) => batch,
            };
            let Some(batch) = batch else { break };
            fail_point::pass(FailPoint::AfterReceived);
            while runs.try_join_next().is_some() {}
            let Some(delivery) = batch.deliveries.into_iter().next() else {
                continue;
            };
            let message = receive(delivery, &lane.context.trusted, lane.context.clock.now());
            let receipt = batch.receipt;
            let mut job = Job { message, receipt };
            let Some(key) = lane.key(&job.message) else {
                runs.spawn(lane.clone().work(vec![job]));
                continue;
            };
            if let Some(burst) = bursts.get(&key) {
                match burst.send(job) {
                    Ok(()) => continue,
                    Err(refused) => job = refused.0,
                }
            }
            // No more than the prefetch is ever in it.
            let (sender, jobs) = mpsc::unbounded_channel();
            sender.send(job).ok();
            bursts.insert(key, sender);
            runs.spawn(lane.clone().work_bursts(jobs));
        }
        drop(bursts);
        while runs.join_next().await.is_some() {}
        consumer.close().await;
    }

    fn key(&self, message: &Received) -> Option<String> {
        let envelope = message.decoded.as_ref().ok()?;
        contain(|| self.runner.key(&envelope.message)).unwrap_or(None)
    }

    async fn work_bursts(self: Arc<Self>, mut jobs: mpsc::UnboundedReceiver<Job>) {
        let stop = self.context.stop.clone();
        while let Some(first) = jobs.recv().await {
            // Whoever is told to stop begins nothing new.
            let calm = stop.run_until_cancelled(tokio::time::sleep(self.debounce)).await;
            if calm.is_none() {
                return;
            }
            let mut burst = vec![first];
            while burst.len() < self.burst
                && let Ok(job) = jobs.try_recv()
            {
                burst.push(job);
            }
            self.clone().work(burst).await;
        }
    }

    /// Works deliveries to the end: committed, answered, acknowledged. What is abandoned on the way comes again.
    async fn work(self: Arc<Self>, jobs: Vec<Job>) {
        let (messages, receipts): (Vec<Received>, Vec<Receipt>) =
            jobs.into_iter().map(|job| (job.message, job.receipt)).unzip();
        let Ok(settlements) = self.settle(&messages).await else {
            return;
        };
        fail_point::pass(FailPoint::AfterCommit);
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
    }

    async fn settle(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        let mut settled = self.screen(messages).await?;
        let mut attempts: Vec<Attempt> = Vec::new();
        // The same message twice in a burst is one attempt; another one under the same identity waits its turn, and is
        // found out then.
        let mut places: Vec<(usize, usize)> = Vec::new();
        for (place, message) in messages.iter().enumerate() {
            let (None, Ok(envelope)) = (&settled[place], &message.decoded) else {
                continue;
            };
            let same = |attempt: &Attempt| attempt.identity == message.identity;
            match attempts.iter().position(same) {
                Some(index) if attempts[index].digest == message.digest => places.push((place, index)),
                Some(_) => settled[place] = Some(Settlement::Postpone { rung: LATER }),
                None => {
                    places.push((place, attempts.len()));
                    attempts.push(Attempt::of(message, envelope.clone()));
                }
            }
        }
        if !attempts.is_empty() {
            let ends = self.attempt(&attempts).await?;
            for (place, index) in places {
                let end = ends[index].clone();
                settled[place] = Some(self.settlement(&messages[place], end).await?);
            }
        }
        Ok(settled.into_iter().flatten().collect())
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
                let now = self.context.clock.now();
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

    /// One run, contained: it may panic, hang, or answer for fewer than it was given.
    async fn attempt(&self, attempts: &[Attempt]) -> Result<Vec<RunEnd>, Abandoned> {
        let run = AssertUnwindSafe(self.runner.run(attempts)).catch_unwind();
        let ended = tokio::select! {
            biased;
            () = self.context.abandon.cancelled() => return Err(Abandoned),
            ended = tokio::time::timeout(self.deadline, run) => ended,
        };
        let mut ends = match ended {
            Ok(Ok(ends)) => ends,
            Ok(Err(panic)) => {
                let reason = format!("the run panicked: {}", panic_text(&*panic));
                vec![RunEnd::Failed(reason); attempts.len()]
            }
            Err(_) => {
                let reason = format!("the run took longer than {} s", self.deadline.as_secs());
                vec![RunEnd::Failed(reason); attempts.len()]
            }
        };
        ends.resize_with(attempts.len(), || {
            RunEnd::Failed("the run said nothing about it".to_owned())
        });
        Ok(ends)
    }

    async fn settlement(&self, message: &Received, end: RunEnd) -> Result<Settlement, Abandoned> {
        match end {
            RunEnd::Committed(row) => Ok(decide::again(&row)),
            RunEnd::Applied(result) => self.context.apply(message, result).await,
            RunEnd::Rejected(rejection) => self.context.bury(message, rejection).await,
            RunEnd::Failed(reason) => self.context.fail(message, Failure::Transient(reason)).await,
            RunEnd::Later(reason) => {
                tracing::info!(lane = %self.context.lane, message.id = %message.identity.id, reason, "not yet");
                Ok(Settlement::Postpone { rung: LATER })
            }
        }
    }
}
