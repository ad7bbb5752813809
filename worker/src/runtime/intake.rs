//! From a delivery to a received message: who it is, who sent it, which attempt this is, and what it says.

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::{Delivery, Properties};
use lockstep_protocol::envelope::Decoded;
use lockstep_protocol::topology::{Lane, ReplyQueue};
use lockstep_protocol::{DecodeError, Digest, Envelope, Identity};

use super::actor::{TrustedUsers, actor, came_through_work};
use super::dead::{self, DeliveryMetadata};
use super::headers;
use crate::handlers::Rejection;
use lockstep_store::{FollowUpKey, ReplyAddress};

/// A message as a lane works on it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Who it is; bytes that do not say are known by their content.
    pub(super) identity: Identity,
    /// What it said.
    pub(super) digest: Digest,
    /// What it says, or why it says nothing.
    pub(super) decoded: Result<Envelope, DecodeError>,
    /// Who sent it, as authenticated.
    pub(super) actor: Option<String>,
    /// Where answers go.
    pub(super) reply_to: Option<ReplyQueue>,
    /// The lane it was taken in; a dead letter's, the one it died in.
    pub(super) lane: Lane,
    /// Whether it was delivered before: its work may have begun elsewhere.
    pub(super) redelivered: bool,
    /// How often it was requeued as a dead letter.
    pub(super) redrive_count: u32,
    /// The row of the store that caused this copy.
    pub(super) follow_up: Option<FollowUpKey>,
    /// Why it died, where it comes from the dead letters.
    pub(super) dead_letter_reason: Option<Rejection>,
    /// Which attempt this is, from 1.
    pub(super) attempt: u32,
    /// When the first attempt was.
    pub(super) first_at: Timestamp,
    /// The bytes, for copies.
    pub(super) body: Bytes,
    /// What stood beside them, for copies.
    pub(super) properties: Properties,
}

/// Reads a delivery. Nothing about it is an error here: what cannot be read is a message that will be rejected.
pub(super) fn receive(delivery: Delivery, lane: Lane, trusted: &TrustedUsers, now: Timestamp) -> Received {
    let ours = came_through_work(&delivery);
    read(delivery, lane, ours, trusted, now)
}

/// Reads a delivery. Headers of ours count where nobody else can have written them.
pub(super) fn read(
    delivery: Delivery,
    lane: Lane,
    ours: bool,
    trusted: &TrustedUsers,
    now: Timestamp,
) -> Received {
    let decoded = Envelope::decode(&delivery.body);
    let (identity, digest) = match &decoded {
        Ok(decoded) => (decoded.envelope.identity.clone(), decoded.digest),
        Err(error) => {
            let identity = error.identity.clone();
            (
                identity.unwrap_or_else(|| Identity::of_undecodable(&delivery.body)),
                error.digest,
            )
        }
    };
    let claimed = decoded
        .as_ref()
        .ok()
        .and_then(|decoded| decoded.envelope.actor.as_deref());
    let actor = actor(&delivery, ours, claimed, trusted);
    let ours = |name: &str| delivery.properties.headers.get(name).filter(|_| ours);
    let number = |name: &str| ours(name).and_then(|text| text.parse::<u32>().ok());
    let attempt = number(headers::ATTEMPT).unwrap_or(1);
    let redrive_count = number(headers::REDRIVE_COUNT).unwrap_or(0);
    let follow_up = ours(headers::FOLLOW_UP).and_then(|text| text.parse().ok());
    let first_at = ours(headers::FIRST_AT)
        .and_then(|text| text.parse().ok())
        .unwrap_or(now);
    let reply_to = delivery
        .properties
        .reply_to
        .clone()
        .and_then(|text| reply_queue(text, &identity));
    Received {
        identity,
        digest,
        decoded: decoded.map(|Decoded { envelope, .. }| envelope),
        actor,
        reply_to,
        lane,
        redelivered: delivery.redelivered,
        redrive_count,
        follow_up,
        dead_letter_reason: None,
        attempt,
        first_at,
        body: delivery.body,
        properties: delivery.properties,
    }
}

impl Received {
    /// What it is about.
    pub(super) fn subject(&self) -> Option<&str> {
        self.decoded.as_ref().ok()?.subject.as_deref()
    }

    /// Where its results go, and what they refer to.
    pub(super) fn reply(&self) -> ReplyAddress {
        ReplyAddress {
            queue: self.reply_to.as_ref().map(|queue| queue.as_str().to_owned()),
            correlation_id: Some(self.correlation_id()),
        }
    }

    /// What the requester calls its request: its correlation id, else the id of the message.
    pub(super) fn correlation_id(&self) -> String {
        let chosen = self.properties.correlation_id.clone();
        chosen.unwrap_or_else(|| self.identity.id.to_string())
    }

    /// What its completion says about how it came.
    pub(super) fn delivery_metadata(&self) -> DeliveryMetadata {
        DeliveryMetadata {
            lane: self.lane,
            redrive_count: self.redrive_count,
            follow_up: self.follow_up,
            attempt: self.attempt,
            first_at: self.first_at,
            body: self.body.clone(),
            properties: dead::kept(&self.properties),
        }
    }
}

/// A `reply_to` that is no reply queue is not followed; the answer goes to the results like any other.
fn reply_queue(text: String, identity: &Identity) -> Option<ReplyQueue> {
    match ReplyQueue::try_from(text) {
        Ok(queue) => Some(queue),
        Err(error) => {
            tracing::warn!(message.source = %identity.source, message.id = %identity.id, %error, "reply_to not followed");
            None
        }
    }
}
