//! Builds the dead letter of a message: its bytes as received, and the reason for dead-lettering.

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::Properties;
use lockstep_protocol::topology::Lane;
use lockstep_protocol::{Envelope, SmolStr, WorkResult};

use super::audited;
use lockstep_store::{Completion, FollowUpKey, InboxRow, InboxState, MessageProperties, NewDeadLetter};

/// How a message was delivered, as far as its completion and its dead letter record it.
#[derive(Clone, Debug)]
pub(super) struct DeliveryMetadata {
    /// The lane it was taken in.
    pub(super) lane: Lane,
    /// Whether its sender waits for the outcome.
    pub(super) awaited: bool,
    /// The user as which its sender published it at the broker.
    pub(super) broker_user: Option<SmolStr>,
    /// How often its dead letter was requeued.
    pub(super) redrive_count: u32,
    /// The follow-up from which this copy was published, if any.
    pub(super) follow_up: Option<FollowUpKey>,
    /// Which attempt this is, from 1.
    pub(super) attempt: u32,
    /// When the first attempt was.
    pub(super) first_at: Timestamp,
    /// The body as received.
    pub(super) body: Bytes,
    /// The AMQP properties that a dead letter keeps.
    pub(super) properties: MessageProperties,
}

/// The completion of a message with this inbox row, including its dead letter if it is dead-lettered, and its entry of the audit if it is a
/// command. `envelope` is `None` if it could not be decoded.
pub(super) fn completion(
    row: InboxRow,
    envelope: Option<&Envelope>,
    delivery_metadata: &DeliveryMetadata,
) -> Completion {
    Completion {
        audit: audited::decision(envelope, &row, delivery_metadata.broker_user.as_ref()),
        follow_up: delivery_metadata.follow_up,
        dead_letter: dead_letter(&row, delivery_metadata),
        row,
    }
}

/// The dead letter of a message with this inbox row. `None` if the message was applied.
pub(super) fn dead_letter(row: &InboxRow, delivery_metadata: &DeliveryMetadata) -> Option<NewDeadLetter> {
    let (WorkResult::MessageRejected(rejected), InboxState::Dead) = (&*row.result, row.state) else {
        return None;
    };
    Some(NewDeadLetter {
        identity: row.identity.clone(),
        redrive_count: row.redrive_count,
        lane: delivery_metadata.lane,
        kind: row.kind.to_string(),
        subject: row.subject.clone(),
        actor: row.actor.as_deref().map(str::to_owned),
        code: rejected.code,
        reason: rejected.reason.clone(),
        place: rejected.place.clone(),
        attempts: delivery_metadata.attempt,
        // By the clock of the worker that took it first, which may be wrong.
        first_at: delivery_metadata.first_at.min(row.at),
        dead_lettered_at: row.at,
        body: delivery_metadata.body.clone(),
        properties: delivery_metadata.properties.clone(),
    })
}

/// The AMQP properties that a dead letter keeps.
pub(super) fn kept(properties: &Properties) -> MessageProperties {
    let text = |text: &Option<SmolStr>| text.as_deref().map(str::to_owned);
    MessageProperties {
        message_id: text(&properties.message_id),
        kind: text(&properties.kind),
        content_type: text(&properties.content_type),
        correlation_id: text(&properties.correlation_id),
        reply_to: text(&properties.reply_to),
        timestamp: properties.timestamp,
    }
}
