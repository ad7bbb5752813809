//! Publishing until the broker answered for every message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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
use super::pool::{ChannelError, Lease, Pool};
use super::publish_batch::{BatchEnd, ConfirmStatus, Prepared, PublishBatch, publish_batch};
use super::supervised_connection::Link;
use crate::nack_policy::{NackPolicy, nack_policy};
use crate::{Outgoing, PublishError};

pub(super) struct Publisher {
    pub(super) link: Link,
    pub(super) pool: Pool,
    /// The `user_id` of every message.
    pub(super) user: ShortString,
    pub(super) patience: Duration,
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
            .map(|message| Prepared::new(&self.user, message))
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

    /// One flight; returns what has to be published again.
    async fn attempt(&self, mut messages: Vec<Prepared>) -> Result<Vec<Prepared>, PublishError> {
        let lease = self.lease().await?;
        let PublishBatch { statuses, end } = publish_batch(lease.lent(), &mut messages, self.patience).await;
        match end {
            BatchEnd::Answered => lease.give_back(),
            BatchEnd::GivenUp => drop(lease),
            BatchEnd::Lost(error) => {
                debug!(%error, "a channel was lost with messages in flight");
                drop(lease);
            }
            BatchEnd::Silent => {
                warn!("the broker confirms nothing, giving up the connection");
                // Before anything is published again: what was written may still be on its way.
                Arc::clone(&lease.lent().generation).start_closing();
                drop(lease);
            }
            BatchEnd::Denied(code, said) => {
                drop(lease);
                let unknown = messages
                    .iter()
                    .zip(&statuses)
                    .filter(|(_, status)| **status == ConfirmStatus::Unknown);
                return Err(channel_error::find(
                    code,
                    said,
                    unknown.map(|(prepared, _)| &prepared.message),
                ));
            }
        }
        self.settle(messages, &statuses)
    }

    /// What is left to publish, after what the broker said.
    fn settle(
        &self,
        messages: Vec<Prepared>,
        statuses: &[ConfirmStatus],
    ) -> Result<Vec<Prepared>, PublishError> {
        let mut left = Vec::new();
        let mut full: Option<(&'static str, usize)> = None;
        for (mut prepared, status) in messages.into_iter().zip(statuses) {
            match status {
                ConfirmStatus::Confirmed => continue,
                ConfirmStatus::Unknown => {}
                ConfirmStatus::Refused => {
                    prepared.refusals += 1;
                    let destination = &prepared.message.destination;
                    match nack_policy(destination, prepared.refusals) {
                        NackPolicy::Again => {}
                        NackPolicy::Bypass => self.bypass(&mut prepared),
                        NackPolicy::Surface => full.get_or_insert((destination.exchange(), 0)).1 += 1,
                    }
                }
            }
            prepared.renew(&self.user);
            left.push(prepared);
        }
        match full {
            Some((exchange, count)) => Err(PublishError::Full {
                exchange: exchange.to_owned(),
                count,
            }),
            None => Ok(left),
        }
    }

    /// Sends an answer to the results, since its requester does not read.
    fn bypass(&self, prepared: &mut Prepared) {
        let kind = prepared.message.properties.kind.as_deref();
        // An answer always has a type; one without goes as what it certainly is: nothing that was done.
        let kind = kind
            .and_then(|text| text.parse().ok())
            .unwrap_or(Kind::MessageRejected);
        warn!(
            reply_to = prepared.message.destination.routing_key(),
            "a reply queue is full, its answer goes to the results"
        );
        prepared.message.destination = Destination::Results(kind);
        prepared.refusals = 0;
        self.bypassed.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a channel as long as it takes.
    async fn lease(&self) -> Result<Lease, PublishError> {
        let mut backoff = Backoff::new();
        loop {
            self.link.ready().await.map_err(|_| PublishError::Closed)?;
            match self.pool.get().await {
                Ok(object) => return Ok(Lease::new(object, &self.tasks)),
                Err(PoolError::Closed | PoolError::Backend(ChannelError::Closed)) => {
                    return Err(PublishError::Closed);
                }
                Err(error) => {
                    debug!(%error, "no channel to publish on yet");
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
