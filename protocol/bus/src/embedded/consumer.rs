use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::request::{Ack, Control, Numbered, Request, SubscriberId, Subscription};
use crate::{Batch, Consumer, Receipt, Settle};

/// The consumer of the embedded bus: receives deliveries from the writer.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    subscription: Subscription,
    /// Deliveries that were received but not returned, such as by a dropped `take`; the next call returns them.
    taken: Vec<Numbered>,
    requests: mpsc::Sender<Request>,
    closing: CancellationToken,
}

/// Acknowledges a batch.
#[derive(Debug)]
struct EmbeddedReceipt {
    subscriber: SubscriberId,
    ids: Vec<i64>,
    requests: mpsc::Sender<Request>,
}

impl EmbeddedConsumer {
    pub(super) fn new(
        subscription: Subscription,
        requests: mpsc::Sender<Request>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            subscription,
            taken: Vec::new(),
            requests,
            closing,
        }
    }

    /// Waits for at least one further delivery, and receives all that have arrived. False if the subscription ended.
    async fn more(&mut self, max: usize) -> bool {
        let room = max - self.taken.len();
        self.subscription
            .deliveries
            .recv_many(&mut self.taken, room)
            .await
            > 0
    }

    fn batch(&mut self, max: usize) -> Batch {
        let count = self.taken.len().min(max);
        let (ids, deliveries) = self.taken.drain(..count).unzip();
        Batch {
            deliveries,
            receipt: Receipt::new(EmbeddedReceipt {
                subscriber: self.subscription.subscriber,
                ids,
                requests: self.requests.clone(),
            }),
        }
    }
}

#[async_trait]
impl Consumer for EmbeddedConsumer {
    async fn take(&mut self, max: usize) -> Option<Batch> {
        let max = max.max(1);
        if self.closing.is_cancelled() || (self.taken.is_empty() && !self.more(max).await) {
            return None;
        }
        Some(self.batch(max))
    }

    async fn close(self: Box<Self>) {
        let (done, closed) = oneshot::channel();
        let unsubscribe = Request::Control(Control::Unsubscribe {
            subscriber: self.subscription.subscriber,
            done: Some(done),
        });
        // If the bus is closed, the writer has already returned all deliveries to the queues.
        if self.requests.send(unsubscribe).await.is_ok() {
            let _ = closed.await;
        }
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        // If the channel is full, the writer finds the closed delivery channel when it delivers next.
        let _ = self.requests.try_send(Request::Control(Control::Unsubscribe {
            subscriber: self.subscription.subscriber,
            done: None,
        }));
    }
}

#[async_trait]
impl Settle for EmbeddedReceipt {
    /// Returns when the request is queued. The writer deletes the messages with its next commit; after a crash before that
    /// they are delivered again.
    async fn ack(self: Box<Self>) {
        let ack = Ack {
            subscriber: self.subscriber,
            ids: self.ids,
        };
        let _ = self.requests.send(Request::Ack(ack)).await;
    }
}
