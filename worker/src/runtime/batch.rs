//! The batched lane: while one batch is published, the next commits, and the one after that is taken.
//!
//! Three stages, one task each, joined by channels that hold one batch: a slow stage holds back the one before it, and
//! in the end the broker, so no more is in memory than the prefetch allows. Batches stay in their order.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lockstep_bus::{Consumer, Delivery, Outgoing, Receipt};
use lockstep_protocol::Identity;
use lockstep_telemetry::LaneMetrics;
use tokio::sync::mpsc;

use super::dead_letter_consumer::receive_dead;
use super::decide::Work;
use super::delivery_metrics::DeliveryMetricsGuard;
use super::intake::{Received, receive};
use super::lane::{Abandoned, LaneContext, consequences, contain, log};
use super::poison::{self, PoisonCheck};
use super::settlement::Failure;
use super::{Settlement, requeue};
use crate::fail_point::{self, FailPoint};
use lockstep_store::Keys;

/// A lane that works micro-batches.
#[derive(Clone, Debug)]
pub(super) struct BatchLane {
    pub(super) context: LaneContext,
    pub(super) work: Work,
    pub(super) metrics: Arc<LaneMetrics>,
    /// The most messages in a batch.
    pub(super) batch_size: usize,
    /// How long a batch waits for more.
    pub(super) linger: Duration,
}

/// A batch on its way to the commit.
struct Taken {
    messages: Vec<Received>,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

/// A batch on its way to the broker.
struct Committed {
    outgoing: Vec<Outgoing>,
    /// Commands that requeued dead letters, which are published too.
    requeued: Vec<Identity>,
    receipt: Receipt,
    metrics_guard: DeliveryMetricsGuard,
}

impl BatchLane {
    /// Works until told to stop, or until the bus is closed. What was taken and not finished goes back to the queue.
    pub(super) async fn run(self, consumer: Box<dyn Consumer>) {
        let lane = Arc::new(self);
        let (to_commit, taken) = mpsc::channel(1);
        let (to_publish, committed) = mpsc::channel(1);
        let taking = tokio::spawn(lane.clone().take(consumer, to_commit));
        let committing = tokio::spawn(lane.clone().commit(taken, to_publish));
        let publishing = tokio::spawn(lane.clone().publish(committed));

        // In this order: the consumer must outlive the last acknowledgement.
        let (consumer, (), ()) = match tokio::try_join!(taking, committing, publishing) {
            Ok(ended) => ended,
            Err(error) => {
                // Only a bug gets here: the stages contain panics of handlers. Everything unacknowledged comes again.
                tracing::error!(lane = %lane.context.lane, %error, "a stage of the lane died");
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

    fn receive(&self, delivery: Delivery, now: Timestamp) -> Received {
        match self.work {
            Work::Handle(_) | Work::Route(_) => {
                receive(delivery, self.context.lane, &self.context.trusted, now)
            }
            Work::File => receive_dead(delivery, &self.context.trusted, now),
        }
    }

    async fn commit(self: Arc<Self>, mut taken: mpsc::Receiver<Taken>, to_publish: mpsc::Sender<Committed>) {
        while let Some(Taken {
            mut messages,
            receipt,
            mut metrics_guard,
        }) = taken.recv().await
        {
            metrics_guard.begun("batch");
            let Ok(settlements) = self.work(&messages).await else {
                break;
            };
            fail_point::pass(FailPoint::AfterCommit);
            metrics_guard.settled(&mut messages, &settlements);
            let outgoing = messages
                .iter()
                .zip(&settlements)
                .flat_map(|(message, settlement)| {
                    log(self.context.lane, message, settlement);
                    consequences(message, settlement, self.context.lane)
                });
            let committed = Committed {
                outgoing: outgoing.collect(),
                requeued: settlements.iter().filter_map(requeue::request).cloned().collect(),
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
            outgoing,
            requeued,
            receipt,
            metrics_guard,
        }) = committed.recv().await
        {
            if self.context.confirm(outgoing).await.is_err() {
                break;
            }
            for request in &requeued {
                if self.context.publish_requeued(request).await.is_err() {
                    return;
                }
            }
            fail_point::pass(FailPoint::AfterConfirm);
            fail_point::pass(FailPoint::BeforeAck);
            receipt.ack().await;
            metrics_guard.acknowledged();
        }
    }

    /// Works a batch: most of it together, and by itself what may have killed a worker.
    async fn work(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        let all: Vec<&Received> = messages.iter().collect();
        let checks = self.context.check_poison(&all).await?;
        let together = |poison: &PoisonCheck| *poison == PoisonCheck::Together;
        if checks.iter().all(together) {
            let settlements = self.process_together(&all).await?;
            self.context.forget_starts(&all).await;
            return Ok(settlements);
        }
        let innocent: Vec<&Received> = all
            .iter()
            .zip(&checks)
            .filter(|(_, poison)| together(poison))
            .map(|(message, _)| *message)
            .collect();
        let mut settled = self.process_together(&innocent).await?.into_iter();
        let mut settlements = Vec::with_capacity(messages.len());
        for (message, poison) in all.iter().copied().zip(checks) {
            let settlement = match poison {
                PoisonCheck::Together => settled.next().expect("there is one for each"),
                PoisonCheck::Alone => {
                    self.context.note_start(message).await?;
                    self.process_alone(message).await?
                }
                PoisonCheck::Poison => self.context.dead_letter(message, poison::poison()).await?,
            };
            settlements.push(settlement);
        }
        self.context.forget_starts(&all).await;
        Ok(settlements)
    }

    /// Works messages in one transaction; where something among them cannot be worked, one by one, so that a bad message
    /// never fails its neighbours.
    async fn process_together(&self, messages: &[&Received]) -> Result<Vec<Settlement>, Abandoned> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        match self.transaction(messages).await? {
            Ok(settlements) => return Ok(settlements),
            Err(failure) if messages.len() == 1 => {
                return Ok(vec![self.context.fail(messages[0], failure).await?]);
            }
            Err(failure) => {
                tracing::warn!(lane = %self.context.lane, messages = messages.len(), ?failure, "batch failed; working it one by one");
            }
        }
        let mut settlements = Vec::with_capacity(messages.len());
        for message in messages {
            settlements.push(self.process_alone(message).await?);
        }
        Ok(settlements)
    }

    async fn process_alone(&self, message: &Received) -> Result<Settlement, Abandoned> {
        match self.transaction(&[message]).await? {
            Ok(mut settlements) => Ok(settlements.remove(0)),
            Err(failure) => self.context.fail(message, failure).await,
        }
    }

    /// One try at all of these messages together.
    async fn transaction(
        &self,
        messages: &[&Received],
    ) -> Result<Result<Vec<Settlement>, Failure>, Abandoned> {
        let keys = match contain(|| self.keys(messages)) {
            Ok(keys) => keys,
            Err(failure) => return Ok(Err(failure)),
        };
        self.context
            .in_transaction(&keys, |facts| {
                let now = self.context.now(facts);
                let decide = |message: &&Received| {
                    fail_point::pass_with(message.subject());
                    self.work.decide(message, facts, now)
                };
                messages.iter().map(decide).collect()
            })
            .await
    }

    fn keys(&self, messages: &[&Received]) -> Keys {
        let mut keys = Keys::default();
        for message in messages {
            keys.identities.insert(message.identity.clone());
            keys.extend(self.work.keys(message));
        }
        keys
    }
}
