//! The retry ladder: after which attempt a message waits how long, and when it is enough.

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::topology::{Destination, Lane, Rung};

use super::headers;
use super::intake::Received;

/// Where a message waits after this attempt failed in a way that may heal; `None` after the fifth, which was the last.
pub(super) fn rung_after(attempt: u32) -> Option<Rung> {
    match attempt {
        0 | 1 => Some(Rung::Seconds5),
        2 => Some(Rung::Seconds30),
        3 => Some(Rung::Minutes2),
        4 => Some(Rung::Minutes10),
        _ => None,
    }
}

/// The copy of a message that comes back to its lane later, as this attempt.
pub(super) fn copy(received: &Received, lane: Lane, rung: Rung, attempt: u32) -> Outgoing {
    let mut ours = vec![
        (headers::ATTEMPT.to_owned(), attempt.to_string()),
        (headers::FIRST_AT.to_owned(), received.first_at.to_string()),
    ];
    ours.extend(
        received
            .actor
            .clone()
            .map(|actor| (headers::ACTOR.to_owned(), actor)),
    );
    Outgoing {
        destination: Destination::Delay(rung, lane),
        properties: Properties {
            headers: ours.into_iter().collect(),
            ..known_properties(received)
        },
        body: received.body.clone(),
    }
}

/// The properties a copy keeps. Built from known fields only: a `CC` header would add routing keys, and a `user_id` that is
/// not ours would be refused (`reference/rabbitmq.md` §3.1).
pub(super) fn known_properties(received: &Received) -> Properties {
    let original = &received.properties;
    Properties {
        message_id: original.message_id.clone(),
        kind: original.kind.clone(),
        content_type: original.content_type.clone(),
        correlation_id: original.correlation_id.clone(),
        reply_to: original.reply_to.clone(),
        timestamp: original.timestamp,
        user_id: None,
        headers: lockstep_bus::Headers::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_climbed_once_and_then_it_is_enough() {
        let waits: Vec<Option<Rung>> = (1..=6).map(rung_after).collect();
        let rungs = Rung::ALL.iter().copied().map(Some).chain([None, None]);
        assert_eq!(waits, rungs.collect::<Vec<_>>());
    }
}
