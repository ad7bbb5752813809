//! Finds the message that made the broker close a channel. The channel error names the exchange, and sometimes the routing
//! key, but not the message.

use lockstep_protocol::topology::Destination;

use crate::{Outgoing, PublishError};

/// Since RabbitMQ 3.8 the broker's answer to a message above its maximum size, among other things.
const PRECONDITION_FAILED: u16 = 406;
const CONTENT_TOO_LARGE: u16 = 311;

/// Whether a channel error is about the size of a message.
fn is_about_size(code: u16, said: &str) -> bool {
    code == CONTENT_TOO_LARGE || code == PRECONDITION_FAILED && said.contains("message size")
}

/// The error for a message to this destination.
pub(super) fn denied(destination: &Destination, reason: String) -> PublishError {
    PublishError::Denied {
        exchange: destination.exchange().to_owned(),
        routing_key: destination.routing_key().to_owned(),
        reason,
    }
}

/// The error for the message in flight that most likely caused the channel error: the largest one if the error is about the
/// size, otherwise the best match of exchange and routing key.
pub(super) fn denied_message<'a>(
    code: u16,
    said: String,
    in_flight: impl Iterator<Item = &'a Outgoing>,
) -> PublishError {
    let about_size = is_about_size(code, &said);
    let fits = |message: &&Outgoing| {
        if about_size {
            return (0, message.body.len());
        }
        let exchange = said.contains(&format!("'{}'", message.destination.exchange()));
        let key = said.contains(&format!("'{}'", message.destination.routing_key()));
        (usize::from(exchange) * 2 + usize::from(key), 0)
    };
    // Reversed, since `max_by_key` returns the last of equal messages and the broker stops at the first.
    let in_flight: Vec<&Outgoing> = in_flight.collect();
    match in_flight.into_iter().rev().max_by_key(fits) {
        Some(message) if about_size => message.too_large(said),
        Some(message) => denied(&message.destination, said),
        None => PublishError::Denied {
            exchange: String::new(),
            routing_key: String::new(),
            reason: said,
        },
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_protocol::Kind;
    use lockstep_protocol::topology::Lane;

    use super::*;
    use crate::Properties;

    #[test]
    fn the_error_names_the_message_that_caused_it() {
        let in_flight: Vec<Outgoing> = [
            (Destination::Lane(Lane::Devices), 1),
            (Destination::Ingress(Kind::InterfaceUpdated), 1),
            (Destination::Ingress(Kind::SyncRequested), 9),
            (Destination::Lane(Lane::Dead), 1),
        ]
        .map(|(destination, length)| Outgoing {
            destination,
            properties: Properties::default(),
            body: Bytes::from(vec![0; length]),
        })
        .into();
        let table = [
            (
                404,
                "NOT_FOUND - no exchange 'lockstep.work' in vhost '/'",
                "lockstep.work",
                "devices",
            ),
            (
                403,
                "ACCESS_REFUSED - access to exchange 'lockstep.events' in vhost '/' refused for user 'u'",
                "lockstep.events",
                "lockstep.interface.updated",
            ),
            (
                403,
                "ACCESS_REFUSED - write access to topic 'lockstep.sync.requested' in exchange 'lockstep.events' refused",
                "lockstep.events",
                "lockstep.sync.requested",
            ),
            (
                406,
                "PRECONDITION_FAILED - user_id property set to 'a' but authenticated user was 'b'",
                "lockstep.work",
                "devices",
            ),
        ];
        for (code, said, expected_exchange, expected_key) in table {
            match denied_message(code, said.to_owned(), in_flight.iter()) {
                PublishError::Denied {
                    exchange,
                    routing_key,
                    reason,
                } => {
                    assert_eq!(
                        (exchange.as_str(), routing_key.as_str()),
                        (expected_exchange, expected_key)
                    );
                    assert_eq!(reason, said);
                }
                other => panic!("{other:?}"),
            }
        }
        for (code, said) in [
            (
                406,
                "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
            ),
            (311, "CONTENT_TOO_LARGE"),
        ] {
            match denied_message(code, said.to_owned(), in_flight.iter()) {
                PublishError::TooLarge {
                    size, routing_key, ..
                } => {
                    assert_eq!((size, routing_key.as_str()), (9, "lockstep.sync.requested"));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
