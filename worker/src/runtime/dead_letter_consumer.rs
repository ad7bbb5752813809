//! Reads messages of the lane `dead`: those that the broker dead-lettered, and their copies that return after a retry delay
//! because their dead letter could not be written before.

use jiff::Timestamp;
use lockstep_bus::{Delivery, Headers};
use lockstep_protocol::topology::{self, Lane, RetryDelay};
use lockstep_protocol::{Code, Identity};
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::authority::{Authority, Route};
use super::headers;
use super::intake::{Received, read};
use crate::handlers::Rejection;

/// Header of RabbitMQ: the queue from which the broker dead-lettered the message for the first time.
const FIRST_DEAD_LETTER_QUEUE: &str = "x-first-death-queue";
/// Header of RabbitMQ: the exchange to which the message had been published before that.
const FIRST_DEAD_LETTER_EXCHANGE: &str = "x-first-death-exchange";

/// Reads a dead letter: the identity of the message, its lane, and why it was dead-lettered.
pub(super) fn receive_dead_letter(delivery: Delivery, authority: &Authority, now: Timestamp) -> Received {
    let headers = delivery.properties.headers.clone();
    // The copy of a worker returns by `lockstep.work`, with the reason in headers. Nobody publishes to `lockstep.dead` but the
    // broker, which adds its own headers.
    let by_broker = headers.contains_key(FIRST_DEAD_LETTER_QUEUE) && delivery.exchange != topology::WORK;
    let from_worker = !by_broker || originally_published_by_worker(&delivery, &headers, authority);
    let lane = lane(&delivery.routing_key, &headers, from_worker);
    let routing_key = delivery.routing_key.clone();
    let route = if from_worker {
        Route::Worker { redriven: false }
    } else {
        // The broker keeps the routing key. It may have taken the message from any queue.
        Route::Client {
            exchange: headers.get(FIRST_DEAD_LETTER_EXCHANGE).map_or("", String::as_str),
            lane: None,
        }
    };
    let mut received = read(delivery, lane, route, authority, now);
    if let Err(error) = &received.decoded
        && received.is_cut()
    {
        received.dead_letter_reason = Some(Rejection::new(error.code, &error.place, &error.reason));
    } else if by_broker {
        let denial = received.denial.clone();
        received.dead_letter_reason = Some(denial.unwrap_or_else(delivery_limit));
    } else {
        received.dead_letter_reason = Some(reason(&headers));
        if let Some(identity) = identity(&headers) {
            received.key.identity = identity;
        }
    }
    tracing::debug!(message.id = %received.key.identity.id, %lane, routing_key, by_broker, "dead letter received");
    received
}

/// Whether a worker published the message before the broker dead-lettered it: only workers publish to its exchange, and the
/// broker validated a trusted user. The `lockstep-…` headers of other messages are ignored.
fn originally_published_by_worker(delivery: &Delivery, headers: &Headers, authority: &Authority) -> bool {
    let exchange = headers.get(FIRST_DEAD_LETTER_EXCHANGE).map_or("", String::as_str);
    let internal =
        exchange == topology::WORK || RetryDelay::ALL.iter().any(|delay| delay.exchange() == exchange);
    let user = delivery.properties.user_id.as_deref();
    internal && user.is_some_and(|user| authority.trusted.contains(user))
}

/// The lane that dead-lettered the message: from the header of a worker, else from the routing key, else from the queue.
fn lane(routing_key: &str, headers: &Headers, from_worker: bool) -> Lane {
    let recorded = headers.get(headers::LANE).filter(|_| from_worker);
    let by_name = |name: &str| name.parse().ok();
    let by_queue = |queue: &str| Lane::ALL.iter().copied().find(|lane| lane.queue() == queue);
    recorded
        .and_then(|name| by_name(name))
        .or_else(|| by_name(routing_key))
        .or_else(|| {
            headers
                .get(FIRST_DEAD_LETTER_QUEUE)
                .and_then(|queue| by_queue(queue))
        })
        .unwrap_or(Lane::Events)
}

fn identity(headers: &Headers) -> Option<Identity> {
    let (source, id) = (headers.get(headers::SOURCE)?, headers.get(headers::ID)?);
    Some(Identity {
        source: source.clone().try_into().ok()?,
        id: id.clone().try_into().ok()?,
    })
}

fn reason(headers: &Headers) -> Rejection {
    let text = |name: &str, default: &str| {
        let text = headers.get(name).map_or(default, String::as_str);
        text.to_owned()
    };
    // A newer worker may have written a code that this one does not know.
    let code = headers.get(headers::CODE).and_then(|code| {
        let code: StrDeserializer<'_, Error> = StrDeserializer::new(code);
        Code::deserialize(code).ok()
    });
    Rejection::new(
        code.unwrap_or(Code::DeliveryLimit),
        text(headers::PLACE, "$"),
        text(headers::REASON, "the worker gave no reason"),
    )
}

fn delivery_limit() -> Rejection {
    let reason = format!(
        "the broker dead-lettered the message: it was delivered {} times without an acknowledgement, or a policy of the broker \
         removed it from its queue; find the cause in the logs of the workers and of the broker, fix it, and requeue the dead \
         letter",
        topology::DELIVERY_LIMIT
    );
    Rejection::new(Code::DeliveryLimit, "$", reason)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_bus::Properties;

    use crate::runtime::actor::TrustedUsers;

    use super::*;

    fn delivery(exchange: &str, key: &str, user: Option<&str>, headers: &[(&str, &str)]) -> Delivery {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Delivery {
            body: Bytes::from_static(b"{}"),
            properties: Properties {
                user_id: user.map(Into::into),
                headers: headers.collect(),
                ..Properties::default()
            },
            exchange: exchange.to_owned(),
            routing_key: key.to_owned(),
            redelivered: false,
        }
    }

    fn receive(delivery: Delivery) -> Received {
        let authority = Authority {
            trusted: TrustedUsers::new(["worker".to_owned()]),
            ..Authority::default()
        };
        receive_dead_letter(delivery, &authority, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_message_that_the_broker_dead_lettered_has_the_lane_of_its_routing_key_or_queue() {
        let events = [
            (FIRST_DEAD_LETTER_QUEUE, "lockstep.lane.events"),
            (FIRST_DEAD_LETTER_EXCHANGE, "lockstep.events"),
        ];
        let delayed = [
            (FIRST_DEAD_LETTER_QUEUE, "lockstep.delay.5s"),
            (FIRST_DEAD_LETTER_EXCHANGE, "lockstep.delay.5s"),
        ];
        let table = [
            (&events, "lockstep.interface.updated", Lane::Events),
            (&delayed, "repositories", Lane::Repositories),
        ];
        for (headers, key, lane) in table {
            let received = receive(delivery(topology::DEAD, key, Some("netbox"), headers));
            assert_eq!(received.lane, lane);
            assert_eq!(received.dead_letter_reason.unwrap().code, Code::DeliveryLimit);
        }
    }

    #[test]
    fn headers_count_only_where_a_worker_wrote_them() {
        let by_broker = |exchange| {
            [
                (FIRST_DEAD_LETTER_QUEUE, "lockstep.lane.devices"),
                (FIRST_DEAD_LETTER_EXCHANGE, exchange),
                (headers::ATTEMPT, "3"),
                (headers::ACTOR, "anna"),
                (headers::REDRIVE_COUNT, "2"),
            ]
        };
        let from_worker = (3, Some("anna".into()), 2);
        let table = [
            ("lockstep.work", Some("worker"), from_worker.clone()),
            ("lockstep.delay.30s", Some("worker"), from_worker),
            ("lockstep.events", Some("worker"), (1, Some("worker".into()), 0)),
            ("lockstep.work", Some("netbox"), (1, Some("netbox".into()), 0)),
            ("lockstep.work", None, (1, None, 0)),
        ];
        for (exchange, user, expected) in table {
            let received = receive(delivery(topology::DEAD, "devices", user, &by_broker(exchange)));
            let read = (received.attempt, received.key.actor, received.redrive_count);
            assert_eq!(read, expected, "{exchange} {user:?}");
        }
    }

    #[test]
    fn a_dead_letter_of_a_worker_carries_its_lane_identity_and_reason() {
        let by_worker = [
            (headers::LANE, "repositories"),
            (headers::CODE, "invalid-intent"),
            (headers::REASON, "no such group"),
            (headers::PLACE, "$.data"),
            (headers::SOURCE, "urn:lockstep:id-reused"),
            (headers::ID, "7"),
        ];
        for exchange in [topology::DEAD, topology::WORK] {
            let received = receive(delivery(exchange, "", Some("worker"), &by_worker));
            assert_eq!(received.lane, Lane::Repositories);
            assert_eq!(received.key.identity.to_string(), "urn:lockstep:id-reused 7");
            let dead_letter_reason = received.dead_letter_reason.unwrap();
            assert_eq!(
                (dead_letter_reason.code, dead_letter_reason.reason.as_str()),
                (Code::InvalidIntent, "no such group")
            );
        }
    }
}
