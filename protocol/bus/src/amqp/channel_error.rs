//! Which message made the broker close a channel: pure. The broker names the exchange, and at times the key.

use lockstep_protocol::topology::Destination;

use crate::{Outgoing, PublishError};

/// The message is larger than the broker takes.
const PRECONDITION_FAILED: u16 = 406;
const CONTENT_TOO_LARGE: u16 = 311;

/// The error that names this destination.
pub(super) fn of(destination: &Destination, reason: String) -> PublishError {
    PublishError::Denied {
        exchange: destination.exchange().to_owned(),
        routing_key: destination.routing_key().to_owned(),
        reason,
    }
}

/// The error that names the message most likely meant, of those in flight.
pub(super) fn find<'a>(
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
    // Reversed, since the first of the best is meant and `max_by_key` takes the last.
    let in_flight: Vec<&Outgoing> = in_flight.collect();
    match in_flight.into_iter().rev().max_by_key(fits) {
        Some(message) => of(&message.destination, said),
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
    fn the_message_meant_is_named() {
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
            match find(code, said.to_owned(), in_flight.iter()) {
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
