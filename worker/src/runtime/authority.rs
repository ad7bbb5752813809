//! Decides whether the sender of a message was allowed to publish it.
//!
//! RabbitMQ checks the routing key against the topic permission of the user, and never looks into the body. So a message counts
//! only if its type is the routing key that the broker checked.

use lockstep_bus::Delivery;
use lockstep_protocol::authority::{self, Principal, SourceOwners, WEBHOOK_ACTOR};
use lockstep_protocol::topology::{self, Lane, ReplyQueue};
use lockstep_protocol::{Code, DecodeError, Envelope, Kind, Source};

use super::actor::TrustedUsers;
use crate::handlers::Rejection;

/// The broker users that this worker trusts, and the sources that belong to principals.
#[derive(Clone, Debug, Default)]
pub(super) struct Authority {
    pub(super) trusted: TrustedUsers,
    pub(super) owners: SourceOwners,
}

/// How a message came to the worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'a> {
    /// A worker published it, to an exchange that only workers publish to.
    Worker {
        /// Whether it is a dead letter that was requeued.
        redriven: bool,
    },
    /// Somebody else published it.
    Client {
        /// The exchange it was published to.
        exchange: &'a str,
        /// The lane that took it; `None` if no binding matched it.
        lane: Option<Lane>,
    },
}

impl Authority {
    /// Why the sender was not allowed to publish the message; `None` if it was. A body without a readable type is rejected for
    /// that.
    pub(super) fn denial(
        &self,
        route: Route<'_>,
        delivery: &Delivery,
        decoded: Result<&Envelope, &DecodeError>,
        actor: Option<&str>,
    ) -> Option<Rejection> {
        let checked = match route {
            Route::Worker { redriven: false } => Ok(()),
            Route::Worker { redriven: true } => self.authorize(decoded, |source| {
                // A dead letter keeps its sender, but not its route. No client's message with this source can be requeued.
                if *source == Source::worker() {
                    return Principal::Worker;
                }
                principal(actor, true)
            }),
            Route::Client { exchange, lane } => {
                let user = delivery.properties.user_id.as_deref();
                let trusted = user.is_some_and(|user| self.trusted.contains(user));
                check_route(exchange, lane, &delivery.routing_key, decoded)
                    .and_then(|()| check_reply_queue(delivery.properties.reply_to.as_deref(), user))
                    .and_then(|()| self.authorize(decoded, |_| principal(actor, trusted)))
            }
        };
        checked.err()
    }

    fn authorize<'a>(
        &self,
        decoded: Result<&Envelope, &DecodeError>,
        principal: impl Fn(&Source) -> Principal<'a>,
    ) -> Result<(), Rejection> {
        let Ok(envelope) = decoded else {
            return Ok(());
        };
        let source = &envelope.identity.source;
        authority::authorize(principal(source), envelope.message.kind(), source, &self.owners)
            .map_err(|denial| Rejection::new(Code::NotAllowed, denial.place, denial.reason))
    }
}

/// Only users that the worker trusts publish for forges.
fn principal(actor: Option<&str>, trusted: bool) -> Principal<'_> {
    match actor {
        Some(actor) if trusted && actor.starts_with(WEBHOOK_ACTOR) => Principal::Forge,
        Some(name) => Principal::User { name },
        None => Principal::Anonymous,
    }
}

/// The broker checked the routing key, so it must be the type. `CC` headers put copies into lanes of other types.
fn check_route(
    exchange: &str,
    lane: Option<Lane>,
    routing_key: &str,
    decoded: Result<&Envelope, &DecodeError>,
) -> Result<(), Rejection> {
    let text = match decoded {
        Ok(envelope) => Some(envelope.message.kind().as_str()),
        Err(error) => error.kind.as_deref(),
    };
    let Some(text) = text else {
        return Ok(());
    };
    let denied = |reason| Err(Rejection::new(Code::NotAllowed, "$.type", reason));
    if exchange != topology::EVENTS {
        return denied(format!(
            "the message was published to the exchange {exchange:?}; publish it to {}, which routes it",
            topology::EVENTS
        ));
    }
    if text != routing_key {
        return denied(format!(
            "the message was published with the routing key {routing_key:?}, but its type is {text:?}; publish each message with \
             its type as the routing key"
        ));
    }
    let right = text.parse().ok().and_then(Kind::ingress);
    match (lane, right) {
        (Some(lane), Some(right)) if lane != right => denied(format!(
            "a copy of the message came to the lane {lane}, but the lane {right} processes {text}; publish without CC and BCC \
             headers"
        )),
        _ => Ok(()),
    }
}

/// Results go only to a reply queue of the user who asked. Other texts in `reply_to` name no reply queue and are ignored.
fn check_reply_queue(reply_to: Option<&str>, user: Option<&str>) -> Result<(), Rejection> {
    let Some(queue) = reply_to.and_then(|text| ReplyQueue::try_from(text.to_owned()).ok()) else {
        return Ok(());
    };
    let reason = match user {
        Some(user) if queue.belongs_to(user) => return Ok(()),
        Some(user) => format!(
            "{} is not a reply queue of {user}; name your own lockstep.reply.{user}.RANDOM, where RANDOM has no dots",
            queue.as_str()
        ),
        None => format!(
            "{} is a reply queue, but the message has no sender; set the AMQP property user_id to the name of your broker user",
            queue.as_str()
        ),
    };
    Err(Rejection::new(Code::NotAllowed, "reply_to", reason))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use lockstep_bus::Properties;
    use serde_json::json;

    use super::*;

    const EVENT: &str = "lockstep.interface.updated";
    const COMMAND: &str = "lockstep.device.state-requested";

    fn authority() -> Authority {
        Authority {
            trusted: TrustedUsers::new(["console".to_owned()]),
            owners: [("netbox".to_owned(), vec!["urn:example:netbox".parse().unwrap()])]
                .into_iter()
                .collect(),
        }
    }

    fn body(kind: &str, source: &str) -> Result<Envelope, DecodeError> {
        let data = match kind {
            COMMAND => json!({"hostname": "sw1", "state": "UNMANAGED"}),
            "lockstep.repository.changed" => {
                json!({"repository": "settings", "branch": "main", "before": "0".repeat(40), "after": "1".repeat(40), "forced": false})
            }
            "lockstep.internal.repository.tip-moved" => {
                json!({"repository": "settings", "tip": "1".repeat(40)})
            }
            _ => json!({"hostname": "sw1", "kind": "status", "interfaces": [{"name": "Ethernet1"}]}),
        };
        let body = json!({"specversion": "1.0", "id": "1", "source": source, "type": kind, "data": data});
        Envelope::decode(body.to_string().as_bytes()).map(|decoded| decoded.envelope)
    }

    /// What a client publishes.
    #[derive(Clone, Copy)]
    struct Published {
        exchange: &'static str,
        key: &'static str,
        lane: Option<Lane>,
        kind: &'static str,
        source: &'static str,
        user: Option<&'static str>,
        actor: Option<&'static str>,
        reply_to: Option<&'static str>,
    }

    const BY_NETBOX: Published = Published {
        exchange: topology::EVENTS,
        key: EVENT,
        lane: Some(Lane::Events),
        kind: EVENT,
        source: "urn:example:netbox",
        user: Some("netbox"),
        actor: Some("netbox"),
        reply_to: Some("lockstep.reply.netbox.1"),
    };

    fn place_of(published: Published, route: Option<Route<'_>>) -> Option<(Code, String)> {
        let delivery = Delivery {
            body: Bytes::new(),
            properties: Properties {
                user_id: published.user.map(Into::into),
                reply_to: published.reply_to.map(Into::into),
                ..Properties::default()
            },
            exchange: published.exchange.to_owned(),
            routing_key: published.key.to_owned(),
            redelivered: false,
        };
        let client = Route::Client {
            exchange: published.exchange,
            lane: published.lane,
        };
        let decoded = body(published.kind, published.source);
        authority()
            .denial(
                route.unwrap_or(client),
                &delivery,
                decoded.as_ref(),
                published.actor,
            )
            .map(|rejection| (rejection.code, rejection.place))
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of all that clients may try")]
    fn a_client_publishes_only_what_the_broker_and_the_rules_allow() {
        let command = Published {
            key: COMMAND,
            kind: COMMAND,
            lane: Some(Lane::Commands),
            ..BY_NETBOX
        };
        let push = Published {
            key: "lockstep.repository.changed",
            kind: "lockstep.repository.changed",
            lane: Some(Lane::Repositories),
            source: "/webhooks/github/settings",
            user: Some("console"),
            actor: Some("webhook:github"),
            reply_to: None,
            ..BY_NETBOX
        };
        let internal = "lockstep.internal.repository.tip-moved";
        let denied = |place: &str| Some((Code::NotAllowed, place.to_owned()));
        let table = [
            ("as it should be", BY_NETBOX, None),
            (
                "without a binding",
                Published {
                    lane: None,
                    ..BY_NETBOX
                },
                None,
            ),
            ("a command of a user", command, None),
            (
                "another type than the routing key",
                Published {
                    kind: COMMAND,
                    ..BY_NETBOX
                },
                denied("$.type"),
            ),
            (
                "an unknown type under a known key",
                Published {
                    kind: "lockstep.x",
                    ..BY_NETBOX
                },
                denied("$.type"),
            ),
            (
                "a copy by CC",
                Published {
                    lane: Some(Lane::Commands),
                    ..BY_NETBOX
                },
                denied("$.type"),
            ),
            (
                "past the exchange",
                Published {
                    exchange: "",
                    key: "lockstep.lane.events",
                    ..BY_NETBOX
                },
                denied("$.type"),
            ),
            (
                "a command without a user",
                Published {
                    user: None,
                    actor: None,
                    reply_to: None,
                    source: "urn:a",
                    ..command
                },
                denied("$.type"),
            ),
            (
                "the source of another",
                Published {
                    user: Some("x"),
                    actor: Some("x"),
                    reply_to: None,
                    ..BY_NETBOX
                },
                denied("$.source"),
            ),
            (
                "an owned source without a user",
                Published {
                    user: None,
                    actor: None,
                    reply_to: None,
                    ..BY_NETBOX
                },
                denied("$.source"),
            ),
            (
                "a worker's source",
                Published {
                    source: "urn:lockstep:worker",
                    ..BY_NETBOX
                },
                denied("$.source"),
            ),
            ("a webhook", push, None),
            (
                "a webhook's source by a user",
                Published {
                    user: Some("netbox"),
                    actor: Some("netbox"),
                    ..push
                },
                denied("$.source"),
            ),
            (
                "a user named like a forge",
                Published {
                    user: Some("webhook:github"),
                    ..push
                },
                denied("$.source"),
            ),
            (
                "the reply queue of another",
                Published {
                    reply_to: Some("lockstep.reply.other.1"),
                    ..BY_NETBOX
                },
                denied("reply_to"),
            ),
            (
                "a longer name",
                Published {
                    reply_to: Some("lockstep.reply.netbox.x.1"),
                    ..BY_NETBOX
                },
                denied("reply_to"),
            ),
            (
                "a pattern",
                Published {
                    reply_to: Some("lockstep.reply.netbox.#"),
                    ..BY_NETBOX
                },
                denied("reply_to"),
            ),
            (
                "a reply queue without a user",
                Published {
                    user: None,
                    actor: None,
                    source: "urn:a",
                    ..BY_NETBOX
                },
                denied("reply_to"),
            ),
            (
                "no reply queue at all",
                Published {
                    reply_to: Some("amq.gen-1"),
                    ..BY_NETBOX
                },
                None,
            ),
            (
                "an internal message",
                Published {
                    kind: internal,
                    key: internal,
                    lane: None,
                    ..BY_NETBOX
                },
                denied("$.type"),
            ),
        ];
        for (what, published, expected) in table {
            assert_eq!(place_of(published, None), expected, "{what}");
        }
    }

    #[test]
    fn a_requeued_message_is_checked_again_and_other_copies_of_workers_are_not() {
        let copy = Route::Worker { redriven: false };
        let requeued = Route::Worker { redriven: true };
        let anonymous = Published {
            kind: COMMAND,
            source: "urn:a",
            actor: None,
            ..BY_NETBOX
        };
        let worker = Published {
            source: "urn:lockstep:worker",
            actor: None,
            ..anonymous
        };
        let forge = Published {
            kind: "lockstep.repository.changed",
            source: "/webhooks/github/settings",
            actor: Some("webhook:github"),
            ..BY_NETBOX
        };
        for (published, route, allowed) in [
            (anonymous, copy, true),
            (anonymous, requeued, false),
            (worker, requeued, true),
            (forge, requeued, true),
            (BY_NETBOX, requeued, true),
        ] {
            assert_eq!(
                place_of(published, Some(route)).is_none(),
                allowed,
                "{} {route:?}",
                published.source
            );
        }
    }
}
