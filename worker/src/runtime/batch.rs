//! Processes a lane in batches: while batches are published, the next one commits, and the one behind it is taken and decoded.
//!
//! Publishing is a task of its own. A channel that holds one batch connects it with the other one, and a batch begins when it has a
//! place there. So the size of batches follows the load: nothing waits for a timer, and what arrives during a commit is the next batch
//! ([`NextBatch`]). A slow stage delays the one before it, and the prefetch bounds the memory. Batches are committed, begin to be
//! published, and are acknowledged in their order.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
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
use super::next_batch::{NextBatch, Taken};
use super::poison::{self, Checked, Counting, PoisonCheck};
use super::processing_error::ProcessingError;
use super::recent_duplicates::RecentDuplicates;
use crate::fail_point::{self, FailPoint};
use lockstep_store::Keys;

/// How many batches may wait for the broker's confirms at a time. With one, it would be idle from each confirm to the next batch.
const PUBLISHED_AT_ONCE: usize = 2;

/// A lane that processes micro-batches.
#[derive(Clone, Debug)]
pub(super) struct BatchLane {
    pub(super) context: LaneContext,
    pub(super) work: Work,
    pub(super) metrics: Arc<LaneMetrics>,
    /// The maximum number of messages in a batch.
    pub(super) batch_size: usize,
    pub(super) duplicates: Arc<RecentDuplicates>,
}

/// A batch that waits for publishing.
struct Committed {
    messages: Vec<Received>,
    settlements: Vec<Settlement>,
    receipts: Vec<Receipt>,
    metrics_guard: DeliveryMetricsGuard,
}

/// A batch that waits for its acknowledgement.
struct Published {
    receipts: Vec<Receipt>,
    metrics_guard: DeliveryMetricsGuard,
}

impl BatchLane {
    /// Runs until it is stopped or the bus is closed. Messages that are taken and not finished go back to the queue.
    pub(super) async fn run(self, consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        // Closed last: the consumer must outlive the last acknowledgement.
        if let Some(consumer) = lane.run_stages(consumer).await {
            consumer.close().await;
        }
    }

    /// Returns the consumer, unless the stage that has it crashed.
    async fn run_stages(self: Arc<Self>, consumer: Box<dyn Consumer>) -> Option<Box<dyn Consumer>> {
        let (to_publish, committed) = mpsc::channel(1);
        let committing = tokio::spawn(self.clone().commit(consumer, to_publish));
        let publishing = tokio::spawn(self.clone().publish(committed));
        let (committing, publishing) = tokio::join!(committing, publishing);
        for error in [committing.as_ref().err(), publishing.as_ref().err()]
            .into_iter()
            .flatten()
        {
            // Only a bug gets here: the stages contain panics of handlers. Everything unacknowledged is redelivered.
            tracing::error!(lane = %self.context.lane, %error, "a stage of the lane crashed");
        }
        committing.ok()
    }

    /// Takes batches and commits them. A batch is what arrived while the one before it was committed.
    async fn commit(
        self: Arc<Self>,
        consumer: Box<dyn Consumer>,
        to_publish: mpsc::Sender<Committed>,
    ) -> Box<dyn Consumer> {
        let mut next_batch = NextBatch::new(&self, consumer);
        loop {
            // Begins only when there is a place for it behind the commit: until then it grows.
            let next = async {
                let place = next_batch.during(to_publish.reserve()).await.ok()?;
                Some((next_batch.cut().await?, place))
            };
            let next = tokio::select! {
                biased;
                () = self.context.stop.cancelled() => break,
                () = self.context.cut_off.cancelled() => break,
                () = self.context.abandon.cancelled() => break,
                () = to_publish.closed() => break,
                next = next => next,
            };
            let Some((batch, place)) = next else { break };
            let Ok(committed) = next_batch.during(self.commit_batch(batch)).await else {
                break;
            };
            place.send(committed);
        }
        next_batch.into_consumer()
    }

    async fn commit_batch(&self, batch: Taken) -> Result<Committed, Abandoned> {
        let Taken {
            mut messages,
            receipts,
        } = batch;
        let mut metrics_guard = DeliveryMetricsGuard::of(&self.metrics, &mut messages);
        metrics_guard.begin("batch");
        let settlements = self.process(&messages).await?;
        fail_point::pass(FailPoint::AfterCommit);
        metrics_guard.settled(&mut messages, &settlements);
        for (message, settlement) in messages.iter().zip(&settlements) {
            log(self.context.lane, message, settlement);
        }
        Ok(Committed {
            messages,
            settlements,
            receipts,
            metrics_guard,
        })
    }

    /// Publishes what committed batches cause, and acknowledges them. They begin in their order and are acknowledged in it, so none is
    /// acknowledged before the one that was committed before it.
    async fn publish(self: Arc<Self>, mut committed: mpsc::Receiver<Committed>) {
        let mut under_way = FuturesOrdered::new();
        loop {
            tokio::select! {
                biased;
                Some(published) = under_way.next() => match published {
                    Ok(published) => acknowledge(published).await,
                    Err(Abandoned) => break,
                },
                // Received after those before it were polled: they were handed to the bus first.
                Some(batch) = committed.recv(), if under_way.len() < PUBLISHED_AT_ONCE => {
                    under_way.push_back(self.publish_batch(batch));
                }
                else => break,
            }
        }
    }

    /// Returns when everything that the batch caused is confirmed.
    async fn publish_batch(&self, batch: Committed) -> Result<Published, Abandoned> {
        let Committed {
            messages,
            mut settlements,
            receipts,
            metrics_guard,
        } = batch;
        self.context
            .publish_consequences(&messages, &mut settlements)
            .await?;
        // Follow-ups are published after the results.
        for cause in settlements.iter().filter_map(with_follow_ups) {
            self.context.publish_follow_ups(&cause).await?;
        }
        fail_point::pass(FailPoint::AfterConfirm);
        Ok(Published {
            receipts,
            metrics_guard,
        })
    }

    pub(super) fn receive(&self, delivery: Delivery, now: Timestamp) -> Received {
        match self.work {
            Work::Handle(_) => receive(delivery, Some(self.context.lane), &self.context.authority, now),
            Work::Route(_) => receive(delivery, None, &self.context.authority, now),
            Work::WriteDeadLetter => receive_dead_letter(delivery, &self.context.authority, now),
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
        let mut keys = match contain(|| self.keys(checked)) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        // Only a handler's decision always leaves an inbox row, whose key would tell.
        let is_handled = matches!(self.work, Work::Handle(_));
        keys.assume_new = is_handled && self.duplicates.assume_new(checked, &keys);
        let assumed_new = keys.assume_new;
        let decided = self
            .context
            .in_transaction(&mut keys, |facts| {
                let now = self.context.now(facts);
                let decide = |checked: &&Checked<'_>| {
                    fail_point::pass_with(checked.message.subject());
                    self.work.decide(checked.message, facts, now)
                };
                checked.iter().map(decide).collect()
            })
            .await;
        if assumed_new && !keys.assume_new {
            self.duplicates.found();
        }
        decided
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

async fn acknowledge(published: Published) {
    fail_point::pass(FailPoint::BeforeAck);
    for receipt in published.receipts {
        receipt.ack().await;
    }
    published.metrics_guard.acknowledged();
}

/// The message of a settlement, if it caused follow-ups.
pub(super) fn with_follow_ups(settlement: &Settlement) -> Option<MessageKey> {
    match settlement {
        Settlement::Applied(row) if row.follow_ups => Some(row.key()),
        _ => None,
    }
}
