//! Follow-ups: messages that another message causes. They are rows of the transaction that commits the effects of their cause
//! (the outbox). Whoever holds the delivery of the cause publishes them right after the commit; a redelivery of the cause and
//! the reconcile pass publish them again under the same identity.

use std::fmt::{self, Debug};
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, Identity, Kind, Message, MessageKey, Source};

use super::{MessageProperties, Origin, StoreError};

/// How long the holder of the delivery has to publish a new follow-up before the reconcile pass does.
pub const UNPUBLISHED_GRACE: Duration = Duration::from_mins(1);

/// A message that a handler or a runner causes.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowUpRequest {
    /// The message. Its identity is derived from its cause, its kind and its place among the follow-ups of its cause.
    pub message: Message,
    /// The CloudEvents subject, such as a hostname.
    pub subject: Option<String>,
    /// Where it goes.
    pub target: FollowUpTarget,
    /// How long it waits before it is published first; `None` for at once.
    pub delay: Option<Duration>,
    /// The lease under which it is processed: while it is held, the follow-up is not published again.
    pub lease: Option<String>,
}

/// Where a follow-up goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FollowUpTarget {
    /// Into a lane, as internal work. The row stays until the message is processed.
    Lane(Lane),
    /// To the sender of the cause, as a result. The row stays until the broker confirms the message.
    Requester,
}

/// Where the row of a follow-up is. A reference to a row that exists anyway is rendered when it is published, not copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FollowUpKey {
    /// In the table of follow-ups.
    Message(u64),
    /// In the table of dead letters: a dead letter that was requeued.
    DeadLetter(u64),
}

/// A row of the table of follow-ups to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct NewFollowUp {
    /// The identity of the message.
    pub identity: Identity,
    /// The message that caused it.
    pub cause: Identity,
    /// The lane it goes to; `None` for a result.
    pub lane: Option<Lane>,
    /// Its type.
    pub kind: Kind,
    /// The encoded message.
    pub body: Bytes,
    /// Where a result goes, and what it refers to.
    pub reply: ReplyAddress,
    /// Who sent the cause, as authenticated. The message has the same sender.
    pub actor: Option<String>,
    /// The lease under which it is processed.
    pub lease: Option<String>,
    /// When the cause was applied.
    pub at: Timestamp,
    /// When the periodic task `follow-ups` publishes it.
    pub due_at: Timestamp,
    /// Whether it waits until it is due; else the holder of the delivery publishes it at once.
    pub delayed: bool,
}

/// Where results of a message go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplyAddress {
    /// The reply queue; results go to the default exchange of results without one.
    pub queue: Option<String>,
    /// The correlation id that the requester chose.
    pub correlation_id: Option<String>,
}

/// A follow-up to be published.
#[derive(Clone, Debug, PartialEq)]
pub struct FollowUp {
    /// Where its row is.
    pub key: FollowUpKey,
    /// The lane it goes to: text, because a newer worker may know more lanes. `None` for a result.
    pub lane: Option<String>,
    /// The encoded message.
    pub body: Bytes,
    /// The properties that are published with it.
    pub properties: MessageProperties,
    /// Who sent the cause, as authenticated.
    pub actor: Option<String>,
    /// When the message was received first, or caused.
    pub first_at: Timestamp,
    /// How often the message was redriven, this time included.
    pub redrive_count: u32,
    /// How often the broker confirmed it so far.
    pub published: u32,
}

/// Reads follow-ups, and writes down that they were published.
#[async_trait]
pub trait FollowUps: Debug + Send + Sync + 'static {
    /// Follow-ups of this cause that the broker has not confirmed and that do not wait for a time, in order, at most `limit`. Those
    /// up to `after` are passed over, at no cost: they were returned before.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn unpublished(
        &self,
        cause: &MessageKey,
        after: Option<FollowUpKey>,
        limit: u32,
    ) -> Result<Vec<FollowUp>, StoreError>;

    /// Writes down that the broker confirmed these. Results are done then; the others are due again after `republish_after`,
    /// which doubles with each time, up to sixteen times as long.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn mark_published(
        &self,
        follow_ups: &[FollowUp],
        republish_after: Duration,
    ) -> Result<(), StoreError>;

    /// Claims overdue follow-ups for publication: they are overdue again after [`UNPUBLISHED_GRACE`]. A follow-up that is processed
    /// under a held lease is not due.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn claim_overdue(&self, limit: u32) -> Result<Vec<FollowUp>, StoreError>;

    /// Makes the published follow-ups of these lanes due now: their queues were deleted with all messages. Returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    async fn make_due(&self, lanes: &[Lane]) -> Result<u64, StoreError>;
}

impl NewFollowUp {
    /// The row of a request, which is the `index`-th of its cause.
    pub(super) fn of(request: FollowUpRequest, index: usize, cause: &Origin<'_>) -> Self {
        let kind = request.message.kind();
        let key = MessageKey {
            identity: cause.identity.clone(),
            actor: cause.actor.map(Into::into),
        };
        let identity = Identity {
            source: Source::worker(),
            id: key.derive(kind, index as u64),
        };
        let envelope = Envelope {
            identity: identity.clone(),
            subject: request.subject,
            time: Some(cause.at),
            traceparent: None,
            causationid: Some(cause.identity.to_string()),
            actor: None,
            message: request.message,
        };
        Self {
            identity,
            cause: key.identity,
            lane: match request.target {
                FollowUpTarget::Lane(lane) => Some(lane),
                FollowUpTarget::Requester => None,
            },
            kind,
            body: envelope.encode().into(),
            reply: cause.reply.cloned().unwrap_or_default(),
            actor: key.actor.map(Into::into),
            lease: request.lease,
            at: cause.at,
            due_at: cause.at + request.delay.unwrap_or(UNPUBLISHED_GRACE),
            delayed: request.delay.is_some(),
        }
    }
}

/// When a follow-up that was published `published` times before is due again.
pub(super) fn due_again(now: Timestamp, republish_after: Duration, published: u32) -> Timestamp {
    now + republish_after * 2_u32.pow(published.min(4))
}

impl FollowUpKey {
    /// The number of the row in its table.
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Message(number) | Self::DeadLetter(number) => number,
        }
    }
}

impl fmt::Display for FollowUpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(number) => write!(f, "message/{number}"),
            Self::DeadLetter(number) => write!(f, "dead-letter/{number}"),
        }
    }
}

/// The text is no key of a follow-up of this version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no key of a follow-up")]
pub struct UnknownFollowUpKey(pub String);

impl FromStr for FollowUpKey {
    type Err = UnknownFollowUpKey;

    fn from_str(text: &str) -> Result<Self, UnknownFollowUpKey> {
        let unknown = || UnknownFollowUpKey(text.to_owned());
        let (table, number) = text.split_once('/').ok_or_else(unknown)?;
        let number = number.parse().map_err(|_| unknown())?;
        match table {
            "message" => Ok(Self::Message(number)),
            "dead-letter" => Ok(Self::DeadLetter(number)),
            _ => Err(unknown()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_reads_as_it_is_written() {
        for key in [FollowUpKey::Message(7), FollowUpKey::DeadLetter(u64::MAX)] {
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for text in ["", "7", "message/", "message/-1", "element/7", "dead-letter/x"] {
            assert!(text.parse::<FollowUpKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_time_between_two_publications_doubles_up_to_a_bound() {
        let now = Timestamp::UNIX_EPOCH;
        let minutes: Vec<i64> = (0..7)
            .map(|published| due_again(now, Duration::from_mins(15), published).as_second() / 60)
            .collect();
        assert_eq!(minutes, [15, 30, 60, 120, 240, 240, 240]);
    }
}
