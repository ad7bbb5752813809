use std::time::Duration;

use serde::Serialize;

use super::{
    DEAD, DELIVERY_LIMIT, EVENTS, Lane, REPLIES, RESULTS, RESULTS_MAX_LENGTH, RESULTS_TTL, RetryDelay,
    UNROUTED, WORK,
};
use crate::Kind;

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeKind {
    /// To queues bound with the same key.
    Direct,
    /// To every bound queue.
    Fanout,
    /// To queues bound with a matching pattern.
    Topic,
}

/// A durable exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExchangeDeclaration {
    /// The object's name.
    pub name: &'static str,
    /// How the exchange routes.
    pub kind: ExchangeKind,
    /// The alternate exchange, which gets messages that no binding matches.
    pub alternate: Option<&'static str>,
}

/// The value of a queue's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A string argument.
    Text(&'static str),
    /// An integer argument.
    Number(i64),
}

/// A durable queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueDeclaration {
    /// The object's name.
    pub name: &'static str,
    /// The arguments of the declaration. RabbitMQ refuses to declare the queue again with different ones.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The name of the exchange.
    pub exchange: &'static str,
    /// The name of the queue.
    pub queue: &'static str,
    /// The binding key; a pattern at topic exchanges.
    pub key: &'static str,
}

/// The exchanges, queues and bindings that must exist before the first message is published. Reply queues are not part of
/// it: requesters declare them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Exchanges; an alternate exchange comes before those that use it.
    pub exchanges: Vec<ExchangeDeclaration>,
    /// The queues, without reply queues.
    pub queues: Vec<QueueDeclaration>,
    /// The bindings of the queues to the exchanges.
    pub bindings: Vec<Binding>,
}

impl Topology {
    /// The objects of Lockstep. `retry_delay_scale` multiplies the retry delays; use 1.0 except in tests.
    pub fn new(retry_delay_scale: f64) -> Self {
        Self {
            exchanges: exchanges(),
            queues: queues(retry_delay_scale),
            bindings: bindings(),
        }
    }
}

fn exchanges() -> Vec<ExchangeDeclaration> {
    let exchange = |name, kind, alternate| ExchangeDeclaration {
        name,
        kind,
        alternate,
    };
    let mut all = vec![
        exchange(UNROUTED, ExchangeKind::Fanout, None),
        exchange(RESULTS, ExchangeKind::Topic, None),
        exchange(DEAD, ExchangeKind::Fanout, None),
        exchange(EVENTS, ExchangeKind::Topic, Some(UNROUTED)),
        exchange(WORK, ExchangeKind::Direct, Some(UNROUTED)),
        exchange(REPLIES, ExchangeKind::Topic, Some(RESULTS)),
    ];
    all.extend(
        RetryDelay::ALL
            .iter()
            .map(|delay| exchange(delay.exchange(), ExchangeKind::Fanout, None)),
    );
    all
}

fn queues(retry_delay_scale: f64) -> Vec<QueueDeclaration> {
    let quorum = ("x-queue-type", Argument::Text("quorum"));
    // At-least-once dead-lettering requires reject-publish, even without a maximum length (docs/reference/rabbitmq.md).
    let dead_letter_to = |exchange| {
        [
            ("x-dead-letter-exchange", Argument::Text(exchange)),
            ("x-dead-letter-strategy", Argument::Text("at-least-once")),
            ("x-overflow", Argument::Text("reject-publish")),
        ]
    };
    let limit = ("x-delivery-limit", Argument::Number(DELIVERY_LIMIT));

    let mut all = Vec::new();
    for lane in Lane::ALL.iter().copied().filter(|lane| *lane != Lane::Dead) {
        let mut arguments = vec![quorum, limit];
        arguments.extend(dead_letter_to(DEAD));
        all.push(QueueDeclaration {
            name: lane.queue(),
            arguments,
        });
    }
    for delay in RetryDelay::ALL {
        let wait = millis(delay.delay().mul_f64(retry_delay_scale));
        let mut arguments = vec![quorum, ("x-message-ttl", Argument::Number(wait))];
        arguments.extend(dead_letter_to(WORK));
        all.push(QueueDeclaration {
            name: delay.exchange(),
            arguments,
        });
    }
    // An explicit limit, since RabbitMQ 4 applies 20 by default, and drops the message in a queue without a dead-letter
    // exchange.
    all.push(QueueDeclaration {
        name: DEAD,
        arguments: vec![
            quorum,
            ("x-delivery-limit", Argument::Number(i64::from(i32::MAX))),
        ],
    });
    all.push(QueueDeclaration {
        name: UNROUTED,
        arguments: [quorum, limit].into_iter().chain(dead_letter_to(DEAD)).collect(),
    });
    all.push(QueueDeclaration {
        name: RESULTS,
        arguments: vec![
            quorum,
            limit,
            ("x-max-length", Argument::Number(RESULTS_MAX_LENGTH)),
            ("x-overflow", Argument::Text("drop-head")),
            ("x-message-ttl", Argument::Number(millis(RESULTS_TTL))),
        ],
    });
    all
}

fn bindings() -> Vec<Binding> {
    let mut all = Vec::new();
    for lane in Lane::ALL.iter().copied() {
        all.push(Binding {
            exchange: WORK,
            queue: lane.queue(),
            key: lane.as_str(),
        });
    }
    for kind in Kind::ALL {
        let Some(lane) = kind.ingress() else { continue };
        all.push(Binding {
            exchange: EVENTS,
            queue: lane.queue(),
            key: kind.as_str(),
        });
    }
    for delay in RetryDelay::ALL {
        all.push(Binding {
            exchange: delay.exchange(),
            queue: delay.exchange(),
            key: "",
        });
    }
    all.push(Binding {
        exchange: DEAD,
        queue: DEAD,
        key: "",
    });
    all.push(Binding {
        exchange: UNROUTED,
        queue: UNROUTED,
        key: "",
    });
    all.push(Binding {
        exchange: RESULTS,
        queue: RESULTS,
        key: "#",
    });
    all
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_binding_names_declared_objects() {
        let topology = Topology::new(1.0);
        for binding in &topology.bindings {
            assert!(
                topology.exchanges.iter().any(|e| e.name == binding.exchange),
                "{binding:?}"
            );
            assert!(
                topology.queues.iter().any(|q| q.name == binding.queue),
                "{binding:?}"
            );
        }
    }

    #[test]
    fn alternate_exchanges_are_declared_first() {
        let exchanges = Topology::new(1.0).exchanges;
        for (place, exchange) in exchanges.iter().enumerate() {
            if let Some(alternate) = exchange.alternate {
                assert!(
                    exchanges[..place].iter().any(|earlier| earlier.name == alternate),
                    "{exchange:?}"
                );
            }
        }
    }

    #[test]
    fn dead_lettering_queues_use_at_least_once_and_reject_publish() {
        for queue in Topology::new(1.0).queues {
            let value = |key| {
                queue
                    .arguments
                    .iter()
                    .find(|(name, _)| *name == key)
                    .map(|(_, value)| *value)
            };
            if value("x-dead-letter-exchange").is_some() {
                assert_eq!(
                    value("x-overflow"),
                    Some(Argument::Text("reject-publish")),
                    "{}",
                    queue.name
                );
                assert_eq!(
                    value("x-dead-letter-strategy"),
                    Some(Argument::Text("at-least-once")),
                    "{}",
                    queue.name
                );
            }
        }
    }
}
