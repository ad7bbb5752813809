//! What becomes of messages that the broker refuses for their size, so that no lane keeps them for ever.
//!
//! A result is published again with its long texts and lists cut. A copy that was to wait in the broker, and a follow-up,
//! cannot reach their lane: the message is dead-lettered, which keeps its bytes in the store.

use std::time::Duration;

use lockstep_bus::{Delivery, Outgoing};
use lockstep_clock::Clock;
use lockstep_protocol::envelope::MAX_BODY_BYTES;
use lockstep_protocol::topology::{Lane, WORK};
use lockstep_protocol::{Code, Envelope, Message};
use lockstep_store::{FollowUp, Keys, StoreError, UnitOfWork};

use super::authority::{Authority, Route};
use super::backoff::Backoff;
use super::intake::{Received, read};
use super::lane::{Abandoned, LaneContext, Published, consequences, log, publish_backoff};
use super::{Settlement, answer, decide};
use crate::handlers::Rejection;

/// Why a message is dead-lettered that the broker refuses.
fn rejection(message: &Received, size: usize) -> Rejection {
    if let Err(error) = &message.decoded
        && message.is_cut()
    {
        return Rejection::new(error.code, &error.place, &error.reason);
    }
    let reason = format!(
        "the broker takes no message of {size} bytes, so it cannot wait there for its next attempt; raise max_message_size of \
         the broker to at least 4 MiB (docs/reference/rabbitmq.md), then requeue it"
    );
    Rejection::new(Code::TooLargeForBroker, "$", reason)
}

impl LaneContext {
    /// Publishes what these settlements cause, apart from follow-ups, until all of it is confirmed. A message whose copy is too
    /// large for the broker gets another settlement: it is dead-lettered.
    pub(super) async fn publish_consequences(
        &self,
        messages: &[Received],
        settlements: &mut [Settlement],
    ) -> Result<(), Abandoned> {
        // Our own bound is known without asking the broker.
        let mut size = MAX_BODY_BYTES + 1;
        let mut backoff = publish_backoff();
        loop {
            // Built again for each attempt, so that the first one, which is usually the last, copies nothing.
            let mut outgoing = Vec::with_capacity(messages.len());
            for (message, settlement) in messages.iter().zip(&mut *settlements) {
                let built = consequences(message, settlement, self.lane);
                let refused = built.as_ref().map(|built| whole(message, settlement, built));
                outgoing.extend(match refused.filter(|refused| *refused >= size) {
                    Some(refused) => self.instead(message, settlement, refused, size).await?,
                    None => built,
                });
            }
            match self.publish(outgoing).await? {
                Published::Confirmed => return Ok(()),
                Published::TooLarge(refused) => size = refused,
                Published::Failed => self.wait(&mut backoff).await?,
            }
        }
    }

    /// What is published instead of something of this size, where the broker takes only what is smaller than `most`.
    async fn instead(
        &self,
        message: &Received,
        settlement: &mut Settlement,
        refused: usize,
        most: usize,
    ) -> Result<Option<Outgoing>, Abandoned> {
        let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(30));
        loop {
            match settlement {
                Settlement::Applied(row) | Settlement::Dead(row) | Settlement::Refused(row) => {
                    return Ok(smaller(answer::short(message, row), most));
                }
                Settlement::Waiting | Settlement::Claimed => return Ok(None),
                Settlement::Retry { .. } | Settlement::Postpone { .. } | Settlement::Forward { .. } => {}
            }
            *settlement = self.reject(message, rejection(message, refused)).await?;
            log(self.lane, message, settlement);
            if let Settlement::Postpone { .. } = settlement {
                // Not even its completion can be written: nothing but waiting is left.
                self.wait(&mut backoff).await?;
            }
        }
    }

    /// Ends those of these follow-ups that are not smaller than a message that the broker refused.
    pub(super) async fn end_too_large(
        &self,
        page: Vec<(FollowUp, Outgoing)>,
        size: usize,
    ) -> Result<(), Abandoned> {
        for (follow_up, outgoing) in page {
            if outgoing.body.len() < size {
                continue;
            }
            let instead = self
                .ask_store(|| end_follow_up(&*self.store, &follow_up, &outgoing, &*self.clock))
                .await?;
            if let Some(instead) = instead
                && self.confirm(vec![instead]).await?.is_err()
            {
                tracing::error!(lane = %self.lane, "the broker refuses even a short result for its size; it is not published");
            }
            // A result ends with that. Whatever else is left is not published again at once.
            let ended = std::slice::from_ref(&follow_up);
            self.ask_store(|| self.follow_ups.mark_published(ended, self.republish_after))
                .await?;
        }
        Ok(())
    }
}

/// The size of what is published for a settlement. A copy counts with the size of the whole message, also where only its head is
/// kept.
fn whole(message: &Received, settlement: &Settlement, outgoing: &Outgoing) -> usize {
    match settlement {
        Settlement::Retry { .. } | Settlement::Postpone { .. } | Settlement::Forward { .. } => message.size,
        Settlement::Applied(_)
        | Settlement::Dead(_)
        | Settlement::Refused(_)
        | Settlement::Waiting
        | Settlement::Claimed => outgoing.body.len(),
    }
}

/// Ends a follow-up that is too large for the broker: its message is dead-lettered, and a result is shortened. Returns what is
/// published instead. The follow-up is to be marked as published afterwards.
pub(crate) async fn end_follow_up(
    store: &dyn UnitOfWork,
    follow_up: &FollowUp,
    outgoing: &Outgoing,
    clock: &dyn Clock,
) -> Result<Option<Outgoing>, StoreError> {
    let refused = outgoing.body.len();
    let Some(lane) = follow_up.lane.as_ref().and_then(|lane| lane.parse().ok()) else {
        return Ok(smaller(shortened(outgoing), refused));
    };
    let message = received(outgoing, lane, follow_up);
    let keys = Keys {
        messages: [message.key_and_digest()].into(),
        ..Keys::default()
    };
    let (mut facts, transaction) = store.begin(&[], &keys).await?;
    let now = facts.now().unwrap_or_else(|| clock.now());
    let settlement = decide::settled_before(&message, &mut facts, now).unwrap_or_else(|| {
        let rejection = rejection(&message, refused);
        decide::reject(&message, &message.key, rejection, &mut facts, now)
    });
    transaction.commit(&facts).await?;
    log(lane, &message, &settlement);
    let (Settlement::Applied(row) | Settlement::Dead(row) | Settlement::Refused(row)) = &settlement else {
        return Ok(None);
    };
    Ok(smaller(answer::short(&message, row), refused))
}

/// The message of a follow-up, as if its lane had received it.
fn received(outgoing: &Outgoing, lane: Lane, follow_up: &FollowUp) -> Received {
    let delivery = Delivery {
        body: outgoing.body.clone(),
        properties: outgoing.properties.clone(),
        exchange: WORK.to_owned(),
        routing_key: lane.to_string(),
        redelivered: false,
    };
    let route = Route::Worker { redriven: false };
    read(delivery, lane, route, &Authority::default(), follow_up.first_at)
}

/// The same result, shortened.
fn shortened(outgoing: &Outgoing) -> Outgoing {
    let Ok(decoded) = Envelope::decode(&outgoing.body) else {
        return outgoing.clone();
    };
    let mut envelope = decoded.envelope;
    if let Message::Result(result) = envelope.message {
        envelope.message = Message::Result(result.shortened());
        envelope.subject = None;
    }
    Outgoing {
        body: envelope.encode().into(),
        ..outgoing.clone()
    }
}

/// A message that is smaller than what was refused. Where even that is refused nothing can be published: the outcome stays in
/// the store.
fn smaller(outgoing: Outgoing, refused: usize) -> Option<Outgoing> {
    if outgoing.body.len() < refused {
        return Some(outgoing);
    }
    tracing::error!(
        bytes = refused,
        "the broker refuses even a short result for its size; it is not published"
    );
    None
}
