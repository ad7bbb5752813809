//! One life of a consumer: a channel, the stream of its deliveries, and what acknowledges them.

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

use super::ack_tracker::{AckTracker, Frames, Run};
use super::declare::{self, DeclareError};
use super::supervised_connection::{CLOSING, ConnectionGeneration};
use crate::{Acknowledge, BusError, ConsumeOptions, Settle};

/// Where deliveries come from until it is `over`.
pub(super) struct Session {
    pub(super) deliveries: lapin::Consumer,
    pub(super) channel: Arc<SessionChannel>,
}

/// The channel of one session, shared by the supervisor (which ends it), the consumer (which says when it is over) and
/// the receipts (which acknowledge on it). Acknowledging on one that is over does nothing.
pub(super) struct SessionChannel {
    channel: Channel,
    generation: Arc<ConnectionGeneration>,
    tag: ShortString,
    /// Present where acknowledgements travel in order.
    tracker: Option<Mutex<AckTracker>>,
    pub(super) over: CancellationToken,
}

/// Why there is no session.
#[derive(Debug)]
pub(super) enum SessionError {
    /// It will not get better by itself.
    Refused(BusError),
    /// The channel or the connection is gone, or silent.
    Lost(String),
}

impl Session {
    /// Opens a channel and consumes; a reply queue is declared first. Each question to the broker has `limit`.
    pub(super) async fn open(
        generation: Arc<ConnectionGeneration>,
        queue: &Queue,
        options: ConsumeOptions,
        limit: Duration,
    ) -> Result<Self, SessionError> {
        let ask = async {
            let channel = generation.connection.create_channel().await?;
            // Per consumer: quorum queues know no other.
            channel
                .basic_qos(options.prefetch.max(1), BasicQosOptions { global: false })
                .await?;
            Ok(channel)
        };
        let channel: Channel = timeout(limit, ask)
            .await
            .map_err(|_| SessionError::silent(limit))?
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
            .map_err(|_| SessionError::silent(limit))?
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
            over: CancellationToken::new(),
        });
        Ok(Self { deliveries, channel })
    }
}

impl SessionChannel {
    /// Whether deliveries may come and acknowledgements may go, as far as is known.
    pub(super) fn works(&self) -> bool {
        self.channel.status().connected() && self.generation.works()
    }

    /// Ends it in order: what was settled is acknowledged, everything else goes back to the queue.
    pub(super) async fn end(&self) {
        self.over.cancel();
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

    /// The receipt for this run.
    pub(super) fn receipt(self: Arc<Self>, run: Run) -> Settlement {
        Settlement {
            channel: self,
            run,
            settled: false,
        }
    }

    fn settle(&self, run: Run) {
        let Some(tracker) = &self.tracker else {
            return self.write(Frames::Each(run));
        };
        // Written under the lock: were an older frame to overtake a newer one, the broker would close the channel.
        let mut tracker = tracker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(frames) = tracker.settle(run) {
            self.write(frames);
        }
    }

    fn abandon(&self, run: Run) {
        let Some(tracker) = &self.tracker else {
            return;
        };
        let mut tracker = tracker.lock().unwrap_or_else(PoisonError::into_inner);
        for frames in tracker.abandon(run) {
            self.write(frames);
        }
    }

    fn write(&self, frames: Frames) {
        match frames {
            Frames::UpTo(tag) => self.write_one(tag, true),
            Frames::Each(run) => (run.first..=run.last).for_each(|tag| self.write_one(tag, false)),
        }
    }

    /// Queues the frame, which is all an acknowledgement can promise: the broker does not answer to it, and lapin says
    /// yes on a dead link, too. If it is lost, the delivery comes again.
    fn write_one(&self, tag: u64, multiple: bool) {
        let written = pin!(self.channel.basic_ack(tag, BasicAckOptions { multiple }));
        match written.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending | Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => tracing::debug!(%error, "an acknowledgement came too late"),
        }
    }
}

/// The right to settle one run of a session, once.
pub(super) struct Settlement {
    channel: Arc<SessionChannel>,
    run: Run,
    settled: bool,
}

#[async_trait]
impl Settle for Settlement {
    async fn ack(mut self: Box<Self>) {
        self.settled = true;
        self.channel.settle(self.run);
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        if !self.settled {
            self.channel.abandon(self.run);
        }
    }
}

impl SessionError {
    fn silent(limit: Duration) -> Self {
        Self::Lost(format!("no answer within {limit:?}"))
    }

    fn of(queue: &Queue, error: &lapin::Error) -> Self {
        let ErrorKind::ProtocolError(said) = error.kind() else {
            return Self::Lost(error.to_string());
        };
        let advice = match said.get_id() {
            403 => "give the user the right to read it",
            404 => "declare the broker's objects first",
            405 => "another consumer has it for itself",
            406 => "it is not consumed this way",
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
