//! The next batch of a lane. It is taken and decoded while the one before it is with the database, which would leave a core idle.
//!
//! Nothing waits for it, and it waits for nothing: what has arrived is taken each time the work of the lane has to wait, in steps that
//! are short, so that the work goes on soon. What arrives meanwhile is taken when the batch is cut. It never has more messages than a
//! batch, and none of them has begun: dropping it returns them to the queue, and no attempt is spent.

use std::pin::pin;

use futures_util::FutureExt;
use lockstep_bus::{Batch, Consumer, Receipt};

use super::batch::BatchLane;
use super::intake::Received;
use crate::fail_point::{self, FailPoint};

/// The most messages that are taken and decoded before the work is looked after again: some tenths of a millisecond.
const STEP: usize = 128;

/// Messages that are processed in one transaction.
pub(super) struct Taken {
    /// In the order of the queue; at least one.
    pub(super) messages: Vec<Received>,
    /// Together they acknowledge the messages, in this order.
    pub(super) receipts: Vec<Receipt>,
}

/// The messages that are taken, and the consumer that delivers the next ones.
pub(super) struct NextBatch<'a> {
    lane: &'a BatchLane,
    consumer: Box<dyn Consumer>,
    taken: Taken,
    /// The bus was closed.
    is_closed: bool,
}

impl Taken {
    const NOTHING: Self = Self {
        messages: Vec::new(),
        receipts: Vec::new(),
    };
}

impl<'a> NextBatch<'a> {
    pub(super) fn new(lane: &'a BatchLane, consumer: Box<dyn Consumer>) -> Self {
        Self {
            lane,
            consumer,
            taken: Taken::NOTHING,
            is_closed: false,
        }
    }

    /// Completes `work`, and takes what has arrived each time the work waits.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        std::future::poll_fn(|context| {
            let done = work.as_mut().poll(context);
            // Not woken by deliveries: that would cost a poll for each of them.
            if done.is_pending() && self.take_arrived() {
                context.waker().wake_by_ref();
            }
            done
        })
        .await
    }

    /// Returns what is taken, and what has arrived since, at most as many as a batch may have. Waits only for the first message. `None` if
    /// the bus was closed.
    pub(super) async fn cut(&mut self) -> Option<Taken> {
        if self.taken.messages.is_empty() {
            let first = self.consumer.take(self.lane.batch_size).await?;
            self.add(first);
        } else {
            while self.take_arrived() {}
        }
        let taken = std::mem::replace(&mut self.taken, Taken::NOTHING);
        (!self.is_closed).then_some(taken)
    }

    /// Returns what is taken to the queue, once the consumer is closed.
    pub(super) fn into_consumer(self) -> Box<dyn Consumer> {
        self.consumer
    }

    /// Takes some of what has arrived, without waiting. Returns whether there may be more.
    fn take_arrived(&mut self) -> bool {
        let room = self.lane.batch_size.saturating_sub(self.taken.messages.len());
        if room == 0 || self.is_closed {
            return false;
        }
        let most = room.min(STEP);
        match self.consumer.take(most).now_or_never() {
            Some(Some(batch)) => {
                let is_full = batch.deliveries.len() == most;
                self.add(batch);
                is_full
            }
            Some(None) => {
                self.is_closed = true;
                false
            }
            None => false,
        }
    }

    fn add(&mut self, batch: Batch) {
        fail_point::pass(FailPoint::AfterReceived);
        let now = self.lane.context.clock.now();
        let deliveries = batch.deliveries.into_iter();
        let received = deliveries.map(|delivery| self.lane.receive(delivery, now));
        self.taken.messages.extend(received);
        self.taken.receipts.push(batch.receipt);
    }
}
