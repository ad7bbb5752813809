//! Finds the message that made the broker close a channel. The channel error names the exchange, and sometimes the routing
//! key, but not the message.

use lockstep_protocol::topology::Destination;

use crate::{Outgoing, PublishError};

/// Since RabbitMQ 3.8 the broker's answer to a message above its maximum size.
const PRECONDITION_FAILED: u16 = 406;
const CONTENT_TOO_LARGE: u16 = 311;

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
    let fits = |message: &&Outgoing| match code {
        PRECONDITION_FAILED | CONTENT_TOO_LARGE => (0, message.body.len()),
        _ => {
            let exchange = said.contains(&format!("'{}'", message.destination.exchange()));
            let key = said.contains(&format!("'{}'", message.destination.routing_key()));
            (usize::from(exchange) * 2 + usize::from(key), 0)
        }
    };
    // Reversed, since `max_by_key` returns the last of equal messages and the broker stops at the first.
    let in_flight: Vec<&Outgoing> = in_flight.collect();
    match in_flight.into_iter().rev().max_by_key(fits) {
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
                "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
                "lockstep.events",
                "lockstep.sync.requested",
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
    }
}
