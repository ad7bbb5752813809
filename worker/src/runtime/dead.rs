//! The dead letter of a message: its bytes as they came, with why it died beside them.

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::WorkResult;
use lockstep_protocol::topology::{Destination, Lane};

use super::intake::Received;
use super::{headers, retry};
use crate::store::InboxRow;

/// The longest reason a header carries.
const MAX_REASON_BYTES: usize = 2000;

/// The dead letter.
pub(super) fn letter(received: &Received, row: &InboxRow, lane: Lane) -> Outgoing {
    let mut ours = vec![
        (headers::LANE, lane.as_str().to_owned()),
        (headers::SOURCE, row.identity.source.to_string()),
        (headers::ID, row.identity.id.to_string()),
        (headers::ATTEMPT, received.attempt.to_string()),
        (headers::FIRST_AT, received.first_at.to_string()),
        (headers::DIED_AT, row.at.to_string()),
    ];
    if let WorkResult::MessageRejected(rejected) = &row.result {
        ours.push((headers::CODE, rejected.code.as_str().to_owned()));
        ours.push((headers::REASON, shortened(&rejected.reason)));
        ours.extend(rejected.place.clone().map(|place| (headers::PLACE, place)));
    }
    ours.extend(row.actor.clone().map(|actor| (headers::ACTOR, actor)));
    let headers = ours
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Outgoing {
        destination: Destination::Dead,
        properties: Properties {
            headers,
            ..retry::known_properties(received)
        },
        body: received.body.clone(),
    }
}

fn shortened(reason: &str) -> String {
    let mut end = reason.len().min(MAX_REASON_BYTES);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    reason[..end].to_owned()
}
