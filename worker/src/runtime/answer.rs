//! Builds the result of a message from its inbox row, so that every publication is the same message.

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::envelope::{CONTENT_TYPE, MAX_BODY_BYTES, ResultEnvelope};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{EncodedResult, SmolStr};

use super::intake::Received;
use lockstep_store::InboxRow;

/// The longest subject that a short result keeps, in bytes: every hostname fits.
const SHORT_SUBJECT: usize = 255;

/// The result message. It goes to the reply queue of the message, or to the results exchange if there is none. It is never
/// larger than a body may be.
pub(super) fn answer(received: &Received, row: &InboxRow) -> Outgoing {
    let whole = render(received, row, &row.result, row.subject.as_deref());
    if whole.body.len() > MAX_BODY_BYTES {
        return short(received, row);
    }
    whole
}

/// The result message without long texts and lists.
pub(super) fn short(received: &Received, row: &InboxRow) -> Outgoing {
    let subject = row.subject.as_deref();
    let subject = subject.filter(|subject| subject.len() <= SHORT_SUBJECT);
    render(
        received,
        row,
        &row.result.clone().into_result().shortened().into(),
        subject,
    )
}

fn render(received: &Received, row: &InboxRow, result: &EncodedResult, subject: Option<&str>) -> Outgoing {
    let kind = result.kind();
    let id = row.derive(kind, 0);
    let decoded = received.decoded.as_ref().ok();
    let envelope = ResultEnvelope {
        id: &id,
        subject,
        time: row.at,
        traceparent: decoded.and_then(|envelope| envelope.traceparent.as_ref()),
        cause: &row.identity,
        result,
    };
    let body = envelope.encode().into();
    let destination = match &received.reply_to {
        Some(queue) => Destination::Reply(queue.clone()),
        None => Destination::Results(kind),
    };
    Outgoing {
        destination,
        properties: Properties {
            message_id: Some(id.into()),
            kind: Some(SmolStr::new_static(kind.as_str())),
            content_type: Some(SmolStr::new_static(CONTENT_TYPE)),
            correlation_id: Some(received.correlation_id()),
            timestamp: Some(row.at),
            ..Properties::default()
        },
        body,
    }
}
