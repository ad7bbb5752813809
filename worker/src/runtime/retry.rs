//! Computes the retry delay after each attempt, and builds the copy of a message that returns later.

use lockstep_bus::{Outgoing, Properties};
use lockstep_protocol::topology::{Destination, Lane, RetryDelay};

use super::headers;
use super::intake::Received;

/// The maximum length of a reason in a header, in bytes.
const MAX_REASON_BYTES: usize = 2000;

/// The retry delay after this attempt failed with a retryable error. `None` after the fifth attempt, which is the last.
pub(super) fn retry_delay_after(attempt: u32) -> Option<RetryDelay> {
    match attempt {
        0 | 1 => Some(RetryDelay::Seconds5),
        2 => Some(RetryDelay::Seconds30),
        3 => Some(RetryDelay::Minutes2),
        4 => Some(RetryDelay::Minutes10),
        _ => None,
    }
}

/// The copy of a message that returns to its lane after `delay`, as this attempt.
pub(super) fn copy(received: &Received, lane: Lane, delay: RetryDelay, attempt: u32) -> Outgoing {
    let mut headers = vec![
        (headers::ATTEMPT.to_owned(), attempt.to_string()),
        (headers::FIRST_AT.to_owned(), received.first_at.to_string()),
    ];
    let mut add =
        |name: &str, value: Option<String>| headers.extend(value.map(|value| (name.to_owned(), value)));
    add(headers::ACTOR, received.key.actor.as_deref().map(str::to_owned));
    add(
        headers::BROKER_USER,
        received.broker_user.as_deref().map(str::to_owned),
    );
    add(
        headers::REDRIVE_COUNT,
        (received.redrive_count > 0).then(|| received.redrive_count.to_string()),
    );
    add(headers::AWAITED, received.awaited.then(|| "true".to_owned()));
    add(headers::FOLLOW_UP, received.follow_up.map(|key| key.to_string()));
    if let Some(dead_letter_reason) = &received.dead_letter_reason {
        add(headers::LANE, Some(received.lane.to_string()));
        add(headers::CODE, Some(dead_letter_reason.code.to_string()));
        add(
            headers::REASON,
            Some(shortened(&dead_letter_reason.reason).to_owned()),
        );
        add(headers::PLACE, Some(dead_letter_reason.place.clone()));
        add(headers::SOURCE, Some(received.key.identity.source.to_string()));
        add(headers::ID, Some(received.key.identity.id.to_string()));
    }
    Outgoing {
        destination: Destination::Delay(delay, lane),
        properties: Properties {
            headers: headers.into_iter().collect(),
            ..kept_properties(received)
        },
        body: received.body.clone(),
    }
}

fn shortened(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(MAX_REASON_BYTES)]
}

/// The properties that a copy keeps. Headers of the sender are dropped, because a `CC` header would add routing keys. The
/// `user_id` is dropped, because the broker refuses the id of another user (`docs/reference/rabbitmq.md`).
fn kept_properties(received: &Received) -> Properties {
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
    fn each_retry_delay_is_used_once_in_order() {
        let waits: Vec<Option<RetryDelay>> = (1..=6).map(retry_delay_after).collect();
        let delays = RetryDelay::ALL.iter().copied().map(Some).chain([None, None]);
        assert_eq!(waits, delays.collect::<Vec<_>>());
    }
}
