//! Publishes messages until the broker has confirmed every one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use deadpool::managed::PoolError;
use lapin::types::ShortString;
use lockstep_protocol::Kind;
use lockstep_protocol::topology::Destination;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::backoff::Backoff;
use super::channel_error;
use super::pool::{ChannelError, Pool, PooledChannel};
use super::publish_batch::{
    BatchEnd, ConfirmStatus, ConfirmTimeouts, PendingMessage, PublishBatch, publish_batch,
};
use super::supervised_connection::SupervisedConnection;
use crate::nack_policy::{NackPolicy, nack_policy};
use crate::{Outgoing, PublishError};

pub(super) struct Publisher {
    pub(super) connection: SupervisedConnection,
    pub(super) pool: Pool,
    /// The `user_id` of every message.
    pub(super) user: ShortString,
    pub(super) confirm_timeout: Duration,
    /// How many connections in a row were closed because the broker confirmed nothing on them.
    pub(super) unanswered: AtomicU32,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
    pub(super) bypassed: AtomicU64,
}

impl Publisher {
    pub(super) async fn publish(&self, messages: Vec<Outgoing>) -> Result<(), PublishError> {
        if self.stop.is_cancelled() {
            return Err(PublishError::Closed);
        }
        let mut left = messages
            .into_iter()
            .map(|message| PendingMessage::new(&self.user, message))
            .collect::<Result<Vec<_>, _>>()?;
        let mut backoff = Backoff::new();
        while !left.is_empty() {
            let before = left.len();
            left = self.attempt(left).await?;
            if left.len() < before {
                backoff.reset();
            }
            if !left.is_empty() {
                self.pause(&mut backoff).await?;
            }
        }
        Ok(())
    }

    /// Publishes one batch, and returns the messages to publish again.
    async fn attempt(&self, mut messages: Vec<PendingMessage>) -> Result<Vec<PendingMessage>, PublishError> {
        let channel = self.channel().await?;
        let generation = Arc::clone(&channel.confirm_channel().generation);
        let timeouts = ConfirmTimeouts::new(self.confirm_timeout, self.unanswered.load(Ordering::Relaxed));
        let PublishBatch { statuses, end } =
            publish_batch(channel.confirm_channel(), &mut messages, timeouts).await;
        if generation.answered() {
            self.unanswered.store(0, Ordering::Relaxed);
        }
        match end {
            BatchEnd::Answered => channel.give_back(),
            BatchEnd::ConnectionClosing => drop(channel),
            BatchEnd::Lost(error) => {
                debug!(%error, "lost a channel with messages in flight");
                drop(channel);
            }
            BatchEnd::TimedOut => {
                if !generation.answered() {
                    self.unanswered.fetch_add(1, Ordering::Relaxed);
                }
                // Before anything is published again: lapin may still write what is queued on this connection.
                generation.start_closing("the broker did not confirm messages in time");
                drop(channel);
            }
            BatchEnd::Denied(code, said) => {
                drop(channel);
                let unknown = messages
                    .iter()
                    .zip(&statuses)
                    .filter(|(_, status)| **status == ConfirmStatus::Unknown);
                return Err(channel_error::denied_message(
                    code,
                    said,
                    unknown.map(|(pending, _)| &pending.message),
                ));
            }
        }
        self.settle(messages, &statuses)
    }

    /// Evaluates the confirms, and returns the messages to publish again.
    fn settle(
        &self,
        messages: Vec<PendingMessage>,
        statuses: &[ConfirmStatus],
    ) -> Result<Vec<PendingMessage>, PublishError> {
        let mut left = Vec::new();
        let mut full: Option<(&'static str, usize)> = None;
        for (mut pending, status) in messages.into_iter().zip(statuses) {
            match status {
                ConfirmStatus::Confirmed => continue,
                ConfirmStatus::Unknown => {}
                ConfirmStatus::Refused => {
                    pending.refusals += 1;
                    let destination = &pending.message.destination;
                    match nack_policy(destination, pending.refusals) {
                        NackPolicy::Retry => {}
                        NackPolicy::Bypass => self.bypass(&mut pending),
                        NackPolicy::Fail => full.get_or_insert((destination.exchange(), 0)).1 += 1,
                    }
                }
            }
            pending.rebuild(&self.user);
            left.push(pending);
        }
        match full {
            Some((exchange, count)) => Err(PublishError::Full {
                exchange: exchange.to_owned(),
                count,
            }),
            None => Ok(left),
        }
    }

    /// Redirects a reply to the results, since the requester does not read its full reply queue.
    fn bypass(&self, pending: &mut PendingMessage) {
        let kind = pending.message.properties.kind.as_deref();
        // Replies always have a type. Should one be missing, `message.rejected` is the type that claims no effect.
        let kind = kind
            .and_then(|text| text.parse().ok())
            .unwrap_or(Kind::MessageRejected);
        warn!(
            reply_to = pending.message.destination.routing_key(),
            "the reply queue is full, sending the reply to the results"
        );
        pending.message.destination = Destination::Results(kind);
        pending.refusals = 0;
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a channel without a timeout.
    async fn channel(&self) -> Result<PooledChannel, PublishError> {
        let mut backoff = Backoff::new();
        loop {
            self.connection.ready().await.map_err(|_| PublishError::Closed)?;
            match self.pool.get().await {
                Ok(object) => return Ok(PooledChannel::new(object, &self.tasks)),
                Err(PoolError::Closed | PoolError::Backend(ChannelError::Closed)) => {
                    return Err(PublishError::Closed);
                }
                Err(error) => {
                    debug!(%error, "cannot get a channel to publish on yet");
                    self.pause(&mut backoff).await?;
                }
            }
        }
    }

    async fn pause(&self, backoff: &mut Backoff) -> Result<(), PublishError> {
        tokio::select! {
            () = self.stop.cancelled() => Err(PublishError::Closed),
            () = sleep(backoff.wait()) => Ok(()),
        }
    }
}
