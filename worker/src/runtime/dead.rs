//! The dead letter of a message: its bytes as they came, with why it died beside them.

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::Properties;
use lockstep_protocol::WorkResult;
use lockstep_protocol::topology::Lane;

use crate::store::{DeadLetter, Ending, InboxRow, InboxState, LetterProperties};

/// How a message came: what its ending and its dead letter tell of it.
#[derive(Clone, Debug)]
pub(super) struct Passage {
    /// The lane it was taken in.
    pub(super) lane: Lane,
    /// How often it was requeued as a dead letter.
    pub(super) epoch: u32,
    /// The dead letter it was until it was requeued.
    pub(super) requeued: Option<u64>,
    /// Which attempt this is, from 1.
    pub(super) attempt: u32,
    /// When the first attempt was.
    pub(super) first_at: Timestamp,
    /// The bytes.
    pub(super) body: Bytes,
    /// What stood beside them.
    pub(super) properties: LetterProperties,
}

/// How a message ended whose inbox row this is: a dead one has a letter.
pub(super) fn ending(row: InboxRow, passage: &Passage) -> Ending {
    Ending {
        requeued: passage.requeued,
        letter: letter(&row, passage),
        row: row.into(),
    }
}

/// The dead letter of a message whose inbox row this is; `None` if it is not dead.
pub(super) fn letter(row: &InboxRow, passage: &Passage) -> Option<DeadLetter> {
    let (WorkResult::MessageRejected(rejected), InboxState::Dead) = (&row.result, row.state) else {
        return None;
    };
    Some(DeadLetter {
        identity: row.identity.clone(),
        epoch: row.epoch,
        lane: passage.lane,
        kind: row.kind.clone(),
        subject: row.subject.clone(),
        actor: row.actor.clone(),
        code: rejected.code,
        reason: rejected.reason.clone(),
        place: rejected.place.clone(),
        attempts: passage.attempt,
        first_at: passage.first_at,
        died_at: row.at,
        body: passage.body.clone(),
        properties: passage.properties.clone(),
    })
}

/// What of the properties is kept with a letter.
pub(super) fn kept(properties: &Properties) -> LetterProperties {
    LetterProperties {
        message_id: properties.message_id.clone(),
        kind: properties.kind.clone(),
        content_type: properties.content_type.clone(),
        correlation_id: properties.correlation_id.clone(),
        reply_to: properties.reply_to.clone(),
        timestamp: properties.timestamp,
    }
}
