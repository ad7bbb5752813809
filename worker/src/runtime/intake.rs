//! Turns a delivery into a received message: its identity, actor, attempt and decoded body.

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::{Delivery, Properties};
use lockstep_protocol::envelope::{Decoded, MAX_BODY_BYTES};
use lockstep_protocol::topology::{self, Lane, ReplyQueue};
use lockstep_protocol::{Code, DecodeError, Digest, Envelope, Identity, MessageKey, SmolStr};

use super::actor::actor;
use super::authority::{Authority, Route};
use super::dead::{self, DeliveryMetadata};
use super::headers;
use crate::handlers::Rejection;
use lockstep_store::{FollowUpKey, ReplyAddress};

/// How much is kept of a body that is larger than [`MAX_BODY_BYTES`], in bytes.
pub(super) const HEAD_BYTES: usize = 64 * 1024;

/// A message as a lane processes it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    /// Its identity, derived from the content if the body has no valid one or its sender was not allowed to publish it, and its
    /// sender, as authenticated.
    pub(super) key: MessageKey,
    /// The digest of its content: tells a redelivery from another message that reuses the identity.
    pub(super) digest: Digest,
    /// The decoded body, or why it is invalid.
    pub(super) decoded: Result<Envelope, DecodeError>,
    /// Why its sender was not allowed to publish it; `None` if it was.
    pub(super) denial: Option<Rejection>,
    /// Where its result goes. `None`: to the results exchange.
    pub(super) reply_to: Option<ReplyQueue>,
    /// The lane it was taken in. For a dead letter: the lane that dead-lettered it.
    pub(super) lane: Lane,
    /// Whether a worker published it, to an exchange that only workers may publish to.
    pub(super) from_worker: bool,
    /// Whether its sender waits for the outcome: it names a reply queue, or a program that authenticates people published it for
    /// one of them. Never if the sender was not allowed to publish it.
    pub(super) awaited: bool,
    /// The user as which its sender published it at the broker; `None` if a worker published it by itself.
    pub(super) broker_user: Option<SmolStr>,
    /// Whether it was delivered before; another worker may have begun to process it.
    pub(super) redelivered: bool,
    /// How often its dead letter was requeued.
    pub(super) redrive_count: u32,
    /// The follow-up from which this copy was published, if any.
    pub(super) follow_up: Option<FollowUpKey>,
    /// Why it was dead-lettered. `Some` only for messages from the dead-letter queue.
    pub(super) dead_letter_reason: Option<Rejection>,
    /// The number of this attempt, from 1.
    pub(super) attempt: u32,
    /// When the first attempt was.
    pub(super) first_at: Timestamp,
    /// The body as received, for copies; of one that is too large only the first [`HEAD_BYTES`].
    pub(super) body: Bytes,
    /// The size of the body as received.
    pub(super) size: usize,
    /// The AMQP properties as received, for copies.
    pub(super) properties: Properties,
}

/// Reads a delivery. This never fails: an invalid body becomes a message that is rejected later. `lane` is the lane to which a
/// binding routed it; `None` for messages that had no route, which the lane `events` takes.
pub(super) fn receive(
    mut delivery: Delivery,
    lane: Option<Lane>,
    authority: &Authority,
    now: Timestamp,
) -> Received {
    let exchange = std::mem::take(&mut delivery.exchange);
    let taken_in = lane.unwrap_or(Lane::Events);
    let route = if exchange == topology::WORK {
        Route::Worker {
            redriven: delivery.properties.headers.contains_key(headers::REDRIVE_COUNT),
        }
    } else {
        Route::Client {
            exchange: &exchange,
            lane,
        }
    };
    read(delivery, taken_in, route, authority, now)
}

/// Reads a delivery. Its `lockstep-…` headers are read only if a worker published it.
pub(super) fn read(
    delivery: Delivery,
    lane: Lane,
    route: Route<'_>,
    authority: &Authority,
    now: Timestamp,
) -> Received {
    let from_worker = matches!(route, Route::Worker { .. });
    let decoded = Envelope::decode(&delivery.body);
    let digest = match &decoded {
        Ok(decoded) => decoded.digest,
        Err(error) => error.digest,
    };
    let decoded = decoded.map(|Decoded { envelope, .. }| envelope);
    let claimed = decoded
        .as_ref()
        .ok()
        .and_then(|envelope| envelope.actor.as_deref());
    let actor = actor(&delivery, from_worker, claimed, &authority.trusted);
    let denial = authority.denial(route, &delivery, decoded.as_ref(), actor.as_deref());
    let identity = match &decoded {
        Ok(envelope) => Some(envelope.identity.clone()),
        Err(error) => error.identity.clone(),
    };
    let identity = identity.unwrap_or_else(|| Identity::of_undecodable(&delivery.body));
    let identity = match denial {
        Some(_) => identity.of_denied(&digest),
        None => identity,
    };
    let header = |name: &str| delivery.properties.headers.get(name).filter(|_| from_worker);
    let number = |name: &str| header(name).and_then(|text| text.parse::<u32>().ok());
    let attempt = number(headers::ATTEMPT).unwrap_or(1);
    let redrive_count = number(headers::REDRIVE_COUNT).unwrap_or(0);
    let follow_up = header(headers::FOLLOW_UP).and_then(|text| text.parse().ok());
    let first_at = header(headers::FIRST_AT)
        .and_then(|text| text.parse().ok())
        .unwrap_or(now);
    let broker_user = if from_worker {
        header(headers::BROKER_USER).map(Into::into)
    } else {
        delivery.properties.user_id.clone()
    };
    // Results of a message that was not allowed do not go where it says.
    let reply_to = delivery.properties.reply_to.clone().filter(|_| denial.is_none());
    let reply_to = reply_to.and_then(|text| reply_queue(text.into(), &identity));
    let awaited = if from_worker {
        header(headers::AWAITED).is_some()
    } else {
        let user = delivery.properties.user_id.as_deref();
        let for_a_person = user.is_some_and(|user| authority.trusted.contains(user));
        actor.is_some() && denial.is_none() && (reply_to.is_some() || for_a_person)
    };
    Received {
        key: MessageKey { identity, actor },
        digest,
        decoded: decoded.map_err(explained),
        denial,
        reply_to,
        lane,
        from_worker,
        awaited,
        broker_user,
        redelivered: delivery.redelivered,
        redrive_count,
        follow_up,
        dead_letter_reason: None,
        attempt,
        first_at,
        size: delivery.body.len(),
        body: kept(delivery.body),
        properties: delivery.properties,
    }
}

/// What is kept of a body: of one that is too large only its beginning, copied, so that the whole is freed.
fn kept(body: Bytes) -> Bytes {
    if body.len() <= MAX_BODY_BYTES {
        return body;
    }
    Bytes::copy_from_slice(&body[..HEAD_BYTES])
}

/// Says what is kept of a body that is too large.
fn explained(error: DecodeError) -> DecodeError {
    if error.code != Code::TooLarge {
        return error;
    }
    let reason = format!(
        "{}; only its first {HEAD_BYTES} bytes are kept, so it cannot be requeued; the SHA-256 of all is {}; send it in parts",
        error.reason, error.digest
    );
    DecodeError { reason, ..error }
}

impl Received {
    /// What a transaction reads the records of the message by.
    pub(super) fn key_and_digest(&self) -> (MessageKey, Digest) {
        (self.key.clone(), self.digest)
    }

    /// Whether only the head of its body is kept, so that no copy of it can be published.
    pub(super) fn is_cut(&self) -> bool {
        self.body.len() < self.size
    }

    /// The subject of the envelope: for a device event, the hostname.
    pub(super) fn subject(&self) -> Option<&str> {
        self.decoded.as_ref().ok()?.subject.as_deref()
    }

    /// The reply queue and the correlation id of its results.
    pub(super) fn reply(&self) -> ReplyAddress {
        ReplyAddress {
            queue: self.reply_to.as_ref().map(|queue| queue.as_str().to_owned()),
            correlation_id: Some(self.correlation_id().into()),
        }
    }

    /// The correlation id that the requester chose, else the id of the message.
    pub(super) fn correlation_id(&self) -> SmolStr {
        let chosen = self.properties.correlation_id.clone();
        let own = self.decoded.as_ref().ok().map(|envelope| &envelope.identity.id);
        chosen.unwrap_or_else(|| own.unwrap_or(&self.key.identity.id).clone().into())
    }

    /// What its completion records about its delivery.
    pub(super) fn delivery_metadata(&self) -> DeliveryMetadata {
        DeliveryMetadata {
            lane: self.lane,
            awaited: self.awaited,
            broker_user: self.broker_user.clone(),
            redrive_count: self.redrive_count,
            follow_up: self.follow_up,
            attempt: self.attempt,
            first_at: self.first_at,
            body: self.body.clone(),
            properties: dead::kept(&self.properties),
        }
    }
}

/// The reply queue that `reply_to` names. If it does not name one, it is ignored and the result goes to the results exchange.
fn reply_queue(text: String, identity: &Identity) -> Option<ReplyQueue> {
    match ReplyQueue::try_from(text) {
        Ok(queue) => Some(queue),
        Err(error) => {
            tracing::warn!(message.source = %identity.source, message.id = %identity.id, %error, "reply_to is not a reply queue and is ignored; the result goes to the results exchange");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::actor::TrustedUsers;

    fn received(body: Vec<u8>) -> Received {
        let delivery = Delivery {
            body: body.into(),
            properties: Properties::default(),
            exchange: String::new(),
            routing_key: String::new(),
            redelivered: false,
        };
        receive(
            delivery,
            Some(Lane::Events),
            &Authority::default(),
            Timestamp::UNIX_EPOCH,
        )
    }

    #[test]
    fn of_a_body_that_is_too_large_only_the_head_is_kept_with_size_and_digest_of_the_whole() {
        let whole = vec![b' '; MAX_BODY_BYTES + 1];
        let message = received(whole.clone());
        assert_eq!(
            (message.body.len(), message.size),
            (HEAD_BYTES, MAX_BODY_BYTES + 1)
        );
        assert!(message.is_cut());
        assert_eq!(message.digest, Digest::of_bytes(&whole));
        assert_eq!(message.key.identity, Identity::of_undecodable(&whole));
        let reason = message.decoded.unwrap_err().reason;
        for part in ["4194305", "65536", &Digest::of_bytes(&whole).to_string()] {
            assert!(reason.contains(part), "{reason}");
        }
        let message = received(vec![b' '; MAX_BODY_BYTES]);
        assert!(!message.is_cut() && message.body.len() == MAX_BODY_BYTES);
    }

    #[test]
    fn a_sender_waits_with_a_reply_queue_or_behind_a_trusted_program() {
        let kind = "lockstep.device.state-requested";
        let body = serde_json::json!({
            "specversion": "1.0", "id": "1", "source": "urn:test", "type": kind, "actor": "alice",
            "data": {"hostname": "sw1", "state": "UNMANAGED"},
        });
        let authority = Authority {
            trusted: TrustedUsers::new(["console".to_owned()]),
            ..Authority::default()
        };
        let own_queue = Some("lockstep.reply.netbox.1");
        let table = [
            // exchange, validated user, reply queue, whether the header of a copy says it, expected
            (topology::EVENTS, Some("netbox"), own_queue, false, true),
            (topology::EVENTS, Some("netbox"), None, false, false),
            (topology::EVENTS, Some("netbox"), None, true, false),
            (topology::EVENTS, Some("netbox"), Some("my-queue"), false, false),
            (topology::EVENTS, Some("console"), None, false, true),
            // Denied: the queue of somebody else.
            (topology::EVENTS, Some("mallory"), own_queue, false, false),
            (topology::EVENTS, None, None, false, false),
            (topology::WORK, Some("worker"), None, true, true),
            (topology::WORK, Some("worker"), own_queue, false, false),
        ];
        for (exchange, user, reply_to, header, expected) in table {
            let headers = header.then(|| (headers::AWAITED.to_owned(), "true".to_owned()));
            let delivery = Delivery {
                body: body.to_string().into(),
                properties: Properties {
                    user_id: user.map(SmolStr::from),
                    reply_to: reply_to.map(SmolStr::from),
                    headers: headers.into_iter().collect(),
                    ..Properties::default()
                },
                exchange: exchange.to_owned(),
                routing_key: kind.to_owned(),
                redelivered: false,
            };
            let message = receive(delivery, Some(Lane::Commands), &authority, Timestamp::UNIX_EPOCH);
            assert_eq!(
                message.awaited, expected,
                "{exchange} {user:?} {reply_to:?} {header}"
            );
        }
    }
}
