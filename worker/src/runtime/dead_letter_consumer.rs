//! Dead letters as they come from the broker's queue of them: those it gave up itself, and those of workers that published
//! theirs there.

use jiff::Timestamp;
use lockstep_bus::{Delivery, Headers};
use lockstep_protocol::topology::{self, Lane, RetryDelay};
use lockstep_protocol::{Code, Identity};
use serde::Deserialize;
use serde::de::value::{Error, StrDeserializer};

use super::actor::{TrustedUsers, came_through_work};
use super::headers;
use super::intake::{Received, read};
use crate::handlers::Rejection;

/// The queue from which the broker took a message when it dead-lettered it first.
const FIRST_DEATH_QUEUE: &str = "x-first-death-queue";
/// The exchange it had been published to then.
const FIRST_DEATH_EXCHANGE: &str = "x-first-death-exchange";

/// Reads a dead letter: who it is, where and why it died.
pub(super) fn receive_dead(delivery: Delivery, trusted: &TrustedUsers, now: Timestamp) -> Received {
    let headers = delivery.properties.headers.clone();
    // Only workers publish to the exchange of dead letters; what the broker put there says so.
    let by_broker = headers.contains_key(FIRST_DEATH_QUEUE) && !came_through_work(&delivery);
    let ours = !by_broker || published_by_us(&delivery, &headers, trusted);
    let lane = lane(&delivery.routing_key, &headers, ours);
    let routing_key = delivery.routing_key.clone();
    let mut received = read(delivery, lane, ours, trusted, now);
    if by_broker {
        received.dead_letter_reason = Some(given_up());
    } else {
        received.dead_letter_reason = Some(reason(&headers));
        if let Some(identity) = identity(&headers) {
            received.identity = identity;
        }
    }
    tracing::debug!(message.id = %received.identity.id, %lane, routing_key, by_broker, "dead letter received");
    received
}

/// Whether a message that the broker gave up was a copy of ours: it came through exchanges that only workers publish to,
/// and a trusted user published it. So nobody else's headers count.
fn published_by_us(delivery: &Delivery, headers: &Headers, trusted: &TrustedUsers) -> bool {
    let exchange = headers.get(FIRST_DEATH_EXCHANGE).map_or("", String::as_str);
    let internal =
        exchange == topology::WORK || RetryDelay::ALL.iter().any(|delay| delay.exchange() == exchange);
    let user = delivery.properties.user_id.as_deref();
    internal && user.is_some_and(|user| trusted.contains(user))
}

/// Where it died: what a worker noted, else the lane that its key or its queue names.
fn lane(routing_key: &str, headers: &Headers, ours: bool) -> Lane {
    let noted = headers.get(headers::LANE).filter(|_| ours);
    let by_name = |name: &str| name.parse().ok();
    let by_queue = |queue: &str| Lane::ALL.iter().copied().find(|lane| lane.queue() == queue);
    noted
        .and_then(|name| by_name(name))
        .or_else(|| by_name(routing_key))
        .or_else(|| headers.get(FIRST_DEATH_QUEUE).and_then(|queue| by_queue(queue)))
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
    let text = |name: &str, otherwise: &str| {
        let noted = headers.get(name).map_or(otherwise, String::as_str);
        noted.to_owned()
    };
    // A newer worker may know codes that this one does not.
    let code = headers.get(headers::CODE).and_then(|code| {
        let code: StrDeserializer<'_, Error> = StrDeserializer::new(code);
        Code::deserialize(code).ok()
    });
    Rejection::new(
        code.unwrap_or(Code::DeliveryLimit),
        text(headers::PLACE, "$"),
        text(headers::REASON, "nobody noted why"),
    )
}

fn given_up() -> Rejection {
    let reason = format!(
        "the broker gave it up: it was delivered {} times and never settled, or its lane could not keep it; requeue it \
         after the workers' and the broker's logs told why and that is mended",
        topology::DELIVERY_LIMIT
    );
    Rejection::new(Code::DeliveryLimit, "$", reason)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_bus::Properties;

    use super::*;

    fn delivery(exchange: &str, key: &str, user: Option<&str>, noted: &[(&str, &str)]) -> Delivery {
        let noted = noted
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Delivery {
            body: Bytes::from_static(b"{}"),
            properties: Properties {
                user_id: user.map(str::to_owned),
                headers: noted.collect(),
                ..Properties::default()
            },
            exchange: exchange.to_owned(),
            routing_key: key.to_owned(),
            redelivered: false,
        }
    }

    fn receive(delivery: Delivery) -> Received {
        let trusted = TrustedUsers::new(["worker".to_owned()]);
        receive_dead(delivery, &trusted, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn what_the_broker_gave_up_died_of_the_limit_where_its_key_or_queue_says() {
        let events = [
            (FIRST_DEATH_QUEUE, "lockstep.lane.events"),
            (FIRST_DEATH_EXCHANGE, "lockstep.events"),
        ];
        let delayed = [
            (FIRST_DEATH_QUEUE, "lockstep.delay.5s"),
            (FIRST_DEATH_EXCHANGE, "lockstep.delay.5s"),
        ];
        let table = [
            (&events, "lockstep.interface.updated", Lane::Events),
            (&delayed, "repositories", Lane::Repositories),
        ];
        for (noted, key, lane) in table {
            let received = receive(delivery(topology::DEAD, key, Some("netbox"), noted));
            assert_eq!(received.lane, lane);
            assert_eq!(received.dead_letter_reason.unwrap().code, Code::DeliveryLimit);
        }
    }

    #[test]
    fn headers_count_only_where_a_worker_wrote_them() {
        let noted = |exchange| {
            [
                (FIRST_DEATH_QUEUE, "lockstep.lane.devices"),
                (FIRST_DEATH_EXCHANGE, exchange),
                (headers::ATTEMPT, "3"),
                (headers::ACTOR, "anna"),
                (headers::REDRIVE_COUNT, "2"),
            ]
        };
        let ours = (3, Some("anna".to_owned()), 2);
        let table = [
            ("lockstep.work", Some("worker"), ours.clone()),
            ("lockstep.delay.30s", Some("worker"), ours),
            (
                "lockstep.events",
                Some("worker"),
                (1, Some("worker".to_owned()), 0),
            ),
            ("lockstep.work", Some("netbox"), (1, Some("netbox".to_owned()), 0)),
            ("lockstep.work", None, (1, None, 0)),
        ];
        for (exchange, user, expected) in table {
            let received = receive(delivery(topology::DEAD, "devices", user, &noted(exchange)));
            let read = (received.attempt, received.actor, received.redrive_count);
            assert_eq!(read, expected, "{exchange} {user:?}");
        }
    }

    #[test]
    fn a_dead_letter_of_a_worker_says_itself_why() {
        let noted = [
            (headers::LANE, "repositories"),
            (headers::CODE, "invalid-intent"),
            (headers::REASON, "no such group"),
            (headers::PLACE, "$.data"),
            (headers::SOURCE, "urn:lockstep:id-reused"),
            (headers::ID, "7"),
        ];
        for exchange in [topology::DEAD, topology::WORK] {
            let received = receive(delivery(exchange, "", Some("worker"), &noted));
            assert_eq!(received.lane, Lane::Repositories);
            assert_eq!(received.identity.to_string(), "urn:lockstep:id-reused 7");
            let dead_letter_reason = received.dead_letter_reason.unwrap();
            assert_eq!(
                (dead_letter_reason.code, dead_letter_reason.reason.as_str()),
                (Code::InvalidIntent, "no such group")
            );
        }
    }
}
