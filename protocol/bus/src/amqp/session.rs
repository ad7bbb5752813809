//! One session of a consumer: a channel, the stream of its deliveries, and their acknowledgement.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{FieldTable, ShortString};
use lapin::{Channel, ErrorKind};
use lockstep_protocol::topology::Queue;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::ack_tracker::{AckTracker, Frames, TagRange};
use super::declare::{self, DeclareError};
use super::supervised_connection::{CLOSING, ConnectionGeneration};
use crate::{Acknowledge, BusError, ConsumeOptions, Settle};

/// A stream of deliveries, valid until its channel has `ended`.
pub(super) struct Session {
    pub(super) deliveries: lapin::Consumer,
    pub(super) channel: Arc<SessionChannel>,
}

/// The channel of one session. The supervisor ends it, the consumer reports that it ended, and receipts acknowledge on it.
/// Acknowledging after it ended does nothing.
pub(super) struct SessionChannel {
    channel: Channel,
    generation: Arc<ConnectionGeneration>,
    tag: ShortString,
    /// Present for [`Acknowledge::InOrder`].
    tracker: Option<Mutex<AckTracker>>,
    pub(super) ended: CancellationToken,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum SessionError {
    /// The broker refuses it; trying again does not help until somebody changes the broker.
    Refused(BusError),
    /// The channel or the connection is lost, or the broker did not respond in time.
    Lost(String),
}

impl Session {
    /// Opens a channel and consumes; a reply queue is declared first. `limit` is the timeout of each request.
    pub(super) async fn open(
        generation: Arc<ConnectionGeneration>,
        queue: &Queue,
        options: ConsumeOptions,
        limit: Duration,
    ) -> Result<Self, SessionError> {
        let ask = async {
            let channel = generation.connection.create_channel().await?;
            // Per consumer: quorum queues do not support global QoS (docs/reference/rabbitmq.md).
            channel
                .basic_qos(options.prefetch.max(1), BasicQosOptions { global: false })
                .await?;
            Ok(channel)
        };
        let channel: Channel = timeout(limit, ask)
            .await
            .map_err(|_| SessionError::no_answer(limit))?
            .map_err(|error| SessionError::of(queue, &error))?;
        if let Queue::Reply(reply) = queue {
            declare::reply_queue(&channel, reply, limit)
                .await
                .map_err(SessionError::of_declare)?;
        }
        let ask = channel.basic_consume(
            queue.name().into(),
            ShortString::default(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let deliveries = timeout(limit, ask)
            .await
            .map_err(|_| SessionError::no_answer(limit))?
            .map_err(|error| SessionError::of(queue, &error))?;
        let tracker = match options.acknowledge {
            Acknowledge::InOrder => Some(Mutex::default()),
            Acknowledge::Each => None,
        };
        let channel = Arc::new(SessionChannel {
            tag: deliveries.tag(),
            channel,
            generation,
            tracker,
            ended: CancellationToken::new(),
        });
        Ok(Self { deliveries, channel })
    }
}

impl SessionChannel {
    /// Whether the channel can be used, as far as lapin knows.
    pub(super) fn works(&self) -> bool {
        self.channel.status().connected() && self.generation.works()
    }

    /// Whether the connection of the channel can be used.
    pub(super) fn connection_works(&self) -> bool {
        self.generation.works()
    }

    /// Waits until the connection of the channel is lost or closing.
    pub(super) async fn connection_lost(&self) {
        self.generation.closing_started().await;
    }

    /// Acknowledges what was settled and closes the channel, which requeues everything else.
    pub(super) async fn end(&self) {
        self.ended.cancel();
        if !self.works() {
            return;
        }
        if let Some(tracker) = &self.tracker {
            let mut tracker = tracker.lock().unwrap_or_else(PoisonError::into_inner);
            for frames in tracker.finish() {
                self.write(frames);
            }
        }
        let closing = async {
            let _ = self
                .channel
                .basic_cancel(self.tag.clone(), BasicCancelOptions::default())
                .await;
            let _ = self.channel.close(200, "consumer closed".into()).await;
        };
        let _ = timeout(CLOSING, closing).await;
    }

    /// The receipt for a batch with these tags.
    pub(super) fn receipt(self: Arc<Self>, range: TagRange) -> SessionReceipt {
        SessionReceipt {
            channel: self,
            range,
            settled: false,
        }
    }

    fn settle(&self, range: TagRange) {
        let Some(tracker) = &self.tracker else {
            return self.write(Frames::Each(range));
        };
        // Written under the lock: if an older frame overtook a newer one, the broker would close the channel.
        let mut tracker = tracker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frames) = tracker.settle(range) {
            self.write(frames);
        }
    }

    fn abandon(&self, range: TagRange) {
        let Some(tracker) = &self.tracker else {
            return;
        };
        let mut tracker = tracker.lock().unwrap_or_else(PoisonError::into_inner);
        for frames in tracker.abandon(range) {
            self.write(frames);
        }
    }

    fn write(&self, frames: Frames) {
        match frames {
            Frames::UpTo(tag) => self.write_one(tag, true),
            Frames::Each(range) => (range.first..=range.last).for_each(|tag| self.write_one(tag, false)),
        }
    }

    /// Queues the frame and does not wait: the broker does not confirm acknowledgements, and lapin reports success even on
    /// a dead connection. If the frame is lost, the broker delivers the message again.
    fn write_one(&self, tag: u64, multiple: bool) {
        let written = pin!(self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        match written.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending | Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => tracing::debug!(%error, "cannot acknowledge: the channel is closed"),
        }
    }
}

/// Acknowledges one batch of a session. Dropping it without that abandons the range.
pub(super) struct SessionReceipt {
    channel: Arc<SessionChannel>,
    range: TagRange,
    settled: bool,
}

#[async_trait]
impl Settle for SessionReceipt {
    async fn ack(mut self: Box<Self>) {
        self.settled = true;
        self.channel.settle(self.range);
    }
}

impl Drop for SessionReceipt {
    fn drop(&mut self) {
        if !self.settled {
            self.channel.abandon(self.range);
        }
    }
}

impl SessionError {
    fn no_answer(limit: Duration) -> Self {
        Self::Lost(format!("no answer within {limit:?}"))
    }

    fn of(queue: &Queue, error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Self::Lost(error.to_string());
        };
        let advice = match said.get_id() {
            403 => "give the user read permission on the queue",
            404 => "declare the broker's objects first",
            405 => "another connection uses the queue exclusively",
            406 => "the broker does not accept these consumer options for the queue",
            _ => return Self::Lost(error.to_string()),
        };
        Self::Refused(BusError::Consume {
            queue: queue.name().to_owned(),
            reason: format!("{} ({advice})", said.get_message()),
        })
    }

    fn of_declare(error: DeclareError) -> Self {
        match error {
            DeclareError::Refused(error) => Self::Refused(error),
            DeclareError::Lost(reason) => Self::Lost(reason),
        }
    }
}
