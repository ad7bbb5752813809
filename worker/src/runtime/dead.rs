//! The dead letter of a message: its bytes as they came, with why it died beside them.

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::Properties;
use lockstep_protocol::WorkResult;
use lockstep_protocol::topology::Lane;

use lockstep_store::{Completion, FollowUpKey, InboxRow, InboxState, MessageProperties, NewDeadLetter};

/// How a message came: what its ending and its dead letter tell of it.
#[derive(Clone, Debug)]
pub(super) struct DeliveryMetadata {
    /// The lane it was taken in.
    pub(super) lane: Lane,
    /// How often it was requeued as a dead letter.
    pub(super) redrive_count: u32,
    /// The row of the store that caused this copy.
    pub(super) follow_up: Option<FollowUpKey>,
    /// Which attempt this is, from 1.
    pub(super) attempt: u32,
    /// When the first attempt was.
    pub(super) first_at: Timestamp,
    /// The bytes.
    pub(super) body: Bytes,
    /// What stood beside them.
    pub(super) properties: MessageProperties,
}

/// How a message ended whose inbox row this is: a dead one has a letter.
pub(super) fn completion(row: InboxRow, delivery_metadata: &DeliveryMetadata) -> Completion {
    Completion {
        follow_up: delivery_metadata.follow_up,
        dead_letter: dead_letter(&row, delivery_metadata),
        row: row.into(),
    }
}

/// The dead letter of a message whose inbox row this is; `None` if it is not dead.
pub(super) fn dead_letter(row: &InboxRow, delivery_metadata: &DeliveryMetadata) -> Option<NewDeadLetter> {
    let (WorkResult::MessageRejected(rejected), InboxState::Dead) = (&row.result, row.state) else {
        return None;
    };
    Some(NewDeadLetter {
        identity: row.identity.clone(),
        redrive_count: row.redrive_count,
        lane: delivery_metadata.lane,
        kind: row.kind.clone(),
        subject: row.subject.clone(),
        actor: row.actor.clone(),
        code: rejected.code,
        reason: rejected.reason.clone(),
        place: rejected.place.clone(),
        attempts: delivery_metadata.attempt,
        first_at: delivery_metadata.first_at,
        died_at: row.at,
        body: delivery_metadata.body.clone(),
        properties: delivery_metadata.properties.clone(),
    })
}

/// What of the properties is kept with a letter.
pub(super) fn kept(properties: &Properties) -> MessageProperties {
    MessageProperties {
        message_id: properties.message_id.clone(),
        kind: properties.kind.clone(),
        content_type: properties.content_type.clone(),
        correlation_id: properties.correlation_id.clone(),
        reply_to: properties.reply_to.clone(),
        timestamp: properties.timestamp,
    }
}
