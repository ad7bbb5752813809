//! Processes a lane in batches: while one batch is published, the next one commits, and the one after that is taken.
//!
//! Each of the three stages is a task. Channels that hold one batch connect them. A slow stage delays the stages before it, and
//! the prefetch bounds the memory. Batches stay in order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_bus::{Consumer, Delivery, Receipt};
use lockstep_protocol::MessageKey;
use lockstep_telemetry::LaneMetrics;
use tokio::sync::mpsc;

use super::Settlement;
use super::dead_letter_consumer::receive_dead_letter;
use super::decide::Work;
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::{Received, receive};
use super::lane::{Abandoned, LaneContext, contain, log};
use super::poison::{self, Checked, Counting, PoisonCheck};
use super::processing_error::ProcessingError;
use crate::fail_point::{self, FailPoint};
use lockstep_store::Keys;

/// A lane that processes micro-batches.
#[derive(Clone, Debug)]
pub(super) struct BatchLane {
    pub(super) context: LaneContext,
    pub(super) work: Work,
    pub(super) metrics: Arc<LaneMetrics>,
    /// The maximum number of messages in a batch.
    pub(super) batch_size: usize,
    /// How long a batch waits for more messages.
    pub(super) linger: Duration,
}

/// A batch that waits for its commit.
struct Taken {
    messages: Vec<Received>,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

/// A batch that waits for publishing.
struct Committed {
    messages: Vec<Received>,
    settlements: Vec<Settlement>,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

impl BatchLane {
    /// Runs until it is stopped or the bus is closed. Messages that are taken and not finished go back to the queue.
    pub(super) async fn run(self, consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        let (to_commit, taken) = mpsc::channel(1);
        let (to_publish, committed) = mpsc::channel(1);
        let taking = tokio::spawn(lane.clone().take(consumer, to_commit));
        let committing = tokio::spawn(lane.clone().commit(taken, to_publish));
        let publishing = tokio::spawn(lane.clone().publish(committed));

        // Closed last: the consumer must outlive the last acknowledgement.
        let (consumer, (), ()) = match tokio::try_join!(taking, committing, publishing) {
            Ok(ended) => ended,
            Err(error) => {
                // Only a bug gets here: the stages contain panics of handlers. Everything unacknowledged is redelivered.
                tracing::error!(lane = %lane.context.lane, %error, "a stage of the lane crashed");
                return;
            }
        };
        consumer.close().await;
    }

    async fn take(
        self: Arc<Self>,
        mut consumer: Box<dyn Consumer>,
        to_commit: mpsc::Sender<Taken>,
    ) -> Box<dyn Consumer> {
        loop {
            let batch = tokio::select! {
                biased;
                () = self.context.stop.cancelled() => break,
                () = self.context.cut_off.cancelled() => break,
                batch = consumer.take(self.batch_size, self.linger) => batch,
            };
            let Some(batch) = batch else { break };
            fail_point::pass(FailPoint::AfterReceived);
            let now = self.context.clock.now();
            let messages = batch
                .deliveries
                .into_iter()
                .map(|delivery| self.receive(delivery, now));
            let mut messages: Vec<Received> = messages.collect();
            let taken = Taken {
                metrics_guard: DeliveryMetricsGuard::of(&self.metrics, &mut messages),
                messages,
                receipt: batch.receipt,
            };
            if to_commit.send(taken).await.is_err() {
                break;
            }
        }
        consumer
    }

    pub(super) fn receive(&self, delivery: Delivery, now: Timestamp) -> Received {
        match self.work {
            Work::Handle(_) => receive(delivery, Some(self.context.lane), &self.context.authority, now),
            Work::Route(_) => receive(delivery, None, &self.context.authority, now),
            Work::WriteDeadLetter => receive_dead_letter(delivery, &self.context.authority, now),
        }
    }

    async fn commit(self: Arc<Self>, mut taken: mpsc::Receiver<Taken>, to_publish: mpsc::Sender<Committed>) {
        while let Some(Taken {
            mut messages,
            receipt,
            mut metrics_guard,
        }) = taken.recv().await
        {
            metrics_guard.begin("batch");
            let Ok(settlements) = self.process(&messages).await else {
                break;
            };
            fail_point::pass(FailPoint::AfterCommit);
            metrics_guard.settled(&mut messages, &settlements);
            for (message, settlement) in messages.iter().zip(&settlements) {
                log(self.context.lane, message, settlement);
            }
            let committed = Committed {
                messages,
                settlements,
                receipt,
                metrics_guard,
            };
            if to_publish.send(committed).await.is_err() {
                break;
            }
        }
    }

    async fn publish(self: Arc<Self>, mut committed: mpsc::Receiver<Committed>) {
        while let Some(Committed {
            messages,
            mut settlements,
            receipt,
            metrics_guard,
        }) = committed.recv().await
        {
            let published = self.context.publish_consequences(&messages, &mut settlements);
            if published.await.is_err() {
                break;
            }
            // Follow-ups are published after the results.
            for cause in settlements.iter().filter_map(with_follow_ups) {
                if self.context.publish_follow_ups(&cause).await.is_err() {
                    return;
                }
            }
            fail_point::pass(FailPoint::AfterConfirm);
            fail_point::pass(FailPoint::BeforeAck);
            receipt.ack().await;
            metrics_guard.acknowledged();
        }
    }

    /// Processes a batch: most messages together, and each message that may have crashed a worker alone.
    pub(super) async fn process(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        let checked = self
            .context
            .check_poison(messages, Counting::Redeliveries)
            .await?;
        let settled = self.process_checked(&checked).await;
        self.context.end_attempts(&checked, settled.as_deref().ok()).await;
        settled
    }

    async fn process_checked(&self, checked: &[Checked<'_>]) -> Result<Vec<Settlement>, Abandoned> {
        let is_shared = |checked: &&Checked<'_>| checked.check == PoisonCheck::Shared;
        let together: Vec<&Checked<'_>> = checked.iter().filter(is_shared).collect();
        let mut settled = self.process_together(&together).await?.into_iter();
        let mut settlements = Vec::with_capacity(checked.len());
        for checked in checked {
            let settlement = match checked.check {
                PoisonCheck::Shared => settled.next().expect("there is one for each"),
                PoisonCheck::Isolated => self.process_alone(checked).await?,
                PoisonCheck::Poison => self.context.reject(checked.message, poison::poison()).await?,
            };
            settlements.push(settlement);
        }
        Ok(settlements)
    }

    /// Processes messages in one transaction. If it fails, they are processed one by one, so that a bad message never fails
    /// its neighbours.
    async fn process_together(&self, checked: &[&Checked<'_>]) -> Result<Vec<Settlement>, Abandoned> {
        if checked.is_empty() {
            return Ok(Vec::new());
        }
        match self.transaction(checked).await? {
            Ok(settlements) => return Ok(settlements),
            Err(error) if checked.len() == 1 => {
                return Ok(vec![self.context.fail(checked[0].message, error).await?]);
            }
            Err(error) => {
                tracing::warn!(lane = %self.context.lane, messages = checked.len(), %error, "batch failed; its messages are processed one by one");
            }
        }
        let mut settlements = Vec::with_capacity(checked.len());
        for checked in checked {
            settlements.push(self.process_alone(checked).await?);
        }
        Ok(settlements)
    }

    async fn process_alone(&self, checked: &Checked<'_>) -> Result<Settlement, Abandoned> {
        match self.transaction(&[checked]).await? {
            Ok(mut settlements) => Ok(settlements.remove(0)),
            Err(error) => self.context.fail(checked.message, error).await,
        }
    }

    /// One attempt at all of these messages together.
    async fn transaction(
        &self,
        checked: &[&Checked<'_>],
    ) -> Result<Result<Vec<Settlement>, ProcessingError>, Abandoned> {
        let keys = match contain(|| self.keys(checked)) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        self.context
            .in_transaction(&keys, |facts| {
                let now = self.context.now(facts);
                let decide = |checked: &&Checked<'_>| {
                    fail_point::pass_with(checked.message.subject());
                    self.work.decide(checked.message, facts, now)
                };
                checked.iter().map(decide).collect()
            })
            .await
    }

    fn keys(&self, checked: &[&Checked<'_>]) -> Keys {
        let mut keys = Keys::default();
        for Checked { message, start, .. } in checked {
            keys.messages.insert(message.key_and_digest());
            self.work.keys(message, &mut keys);
            keys.starts.extend(start.clone());
        }
        keys
    }
}

/// The message of a settlement, if it caused follow-ups.
pub(super) fn with_follow_ups(settlement: &Settlement) -> Option<MessageKey> {
    match settlement {
        Settlement::Applied(row) if row.follow_ups => Some(row.key()),
        _ => None,
    }
}
