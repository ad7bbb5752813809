//! The batched lane: while one batch is published, the next commits, and the one after that is taken.
//!
//! Three stages, one task each, joined by channels that hold one batch: a slow stage holds back the one before it, and
//! in the end the broker, so no more is in memory than the prefetch allows. Batches stay in their order.

use std::sync::Arc;
use std::time::Duration;

use lockstep_bus::{Consumer, Outgoing, Receipt};
use tokio::sync::mpsc;

use super::intake::{Received, receive};
use super::lane::{Abandoned, LaneContext, consequences, contain, log};
use super::settlement::Failure;
use super::{Settlement, decide};
use crate::fail_point::{self, FailPoint};
use crate::handlers::Handlers;
use crate::store::Keys;

/// A lane that works micro-batches.
#[derive(Clone, Debug)]
pub(super) struct BatchLane {
    pub(super) context: LaneContext,
    pub(super) handlers: Arc<dyn Handlers>,
    /// The most messages in a batch.
    pub(super) batch_size: usize,
    /// How long a batch waits for more.
    pub(super) linger: Duration,
}

/// A batch on its way to the commit.
struct Taken {
    messages: Vec<Received>,
    receipt: Receipt,
}

/// A batch on its way to the broker.
struct Committed {
    outgoing: Vec<Outgoing>,
    receipt: Receipt,
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
                .map(|delivery| receive(delivery, &self.context.trusted, now));
            let taken = Taken {
                messages: messages.collect(),
                receipt: batch.receipt,
            };
            if to_commit.send(taken).await.is_err() {
                break;
            }
        }
        consumer
    }

    async fn commit(self: Arc<Self>, mut taken: mpsc::Receiver<Taken>, to_publish: mpsc::Sender<Committed>) {
        while let Some(Taken { messages, receipt }) = taken.recv().await {
            let Ok(settlements) = self.work(&messages).await else {
                break;
            };
            fail_point::pass(FailPoint::AfterCommit);
            let outgoing = messages
                .iter()
                .zip(&settlements)
                .flat_map(|(message, settlement)| {
                    log(self.context.lane, message, settlement);
                    consequences(message, settlement, self.context.lane)
                });
            let committed = Committed {
                outgoing: outgoing.collect(),
                receipt,
            };
            if to_publish.send(committed).await.is_err() {
                break;
            }
        }
    }

    async fn publish(self: Arc<Self>, mut committed: mpsc::Receiver<Committed>) {
        while let Some(Committed { outgoing, receipt }) = committed.recv().await {
            if self.context.confirm(outgoing).await.is_err() {
                break;
            }
            fail_point::pass(FailPoint::AfterConfirm);
            fail_point::pass(FailPoint::BeforeAck);
            receipt.ack().await;
        }
    }

    /// Works a batch in one transaction; where something in it cannot be worked, one by one, so that a bad message never
    /// fails its neighbours.
    async fn work(&self, messages: &[Received]) -> Result<Vec<Settlement>, Abandoned> {
        match self.transaction(messages).await? {
            Ok(settlements) => return Ok(settlements),
            Err(failure) if messages.len() == 1 => {
                return Ok(vec![self.context.fail(&messages[0], failure).await?]);
            }
            Err(failure) => {
                tracing::warn!(lane = %self.context.lane, messages = messages.len(), ?failure, "batch failed; working it one by one");
            }
        }
        let mut settlements = Vec::with_capacity(messages.len());
        for message in messages {
            let settlement = match self.transaction(std::slice::from_ref(message)).await? {
                Ok(mut settlements) => settlements.remove(0),
                Err(failure) => self.context.fail(message, failure).await?,
            };
            settlements.push(settlement);
        }
        Ok(settlements)
    }

    /// One try at all of these messages together.
    async fn transaction(
        &self,
        messages: &[Received],
    ) -> Result<Result<Vec<Settlement>, Failure>, Abandoned> {
        let keys = match contain(|| self.keys(messages)) {
            Ok(keys) => keys,
            Err(failure) => return Ok(Err(failure)),
        };
        self.context
            .in_transaction(&keys, |facts| {
                let now = self.context.clock.now();
                messages
                    .iter()
                    .map(|message| decide::decide(message, facts, &*self.handlers, now))
                    .collect()
            })
            .await
    }

    fn keys(&self, messages: &[Received]) -> Keys {
        let mut keys = Keys::default();
        for message in messages {
            keys.identities.insert(message.identity.clone());
            if let Ok(envelope) = &message.decoded {
                keys.extend(self.handlers.keys(envelope));
            }
        }
        keys
    }
}
