//! Routes messages by the exchanges and bindings of the topology, like RabbitMQ.

use std::collections::HashMap;
use std::time::Duration;

use lockstep_protocol::topology::{Argument, Binding, ExchangeKind, QueueDeclaration, REPLIES, Topology};

/// The declared objects, indexed by name.
#[derive(Debug)]
pub(super) struct Routing {
    exchanges: HashMap<&'static str, Exchange>,
    rules: HashMap<&'static str, Rules>,
}

#[derive(Debug)]
struct Exchange {
    kind: ExchangeKind,
    alternate: Option<&'static str>,
    bindings: Vec<Binding>,
}

/// The arguments of a queue that the embedded bus implements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rules {
    /// The time-to-live of messages.
    pub(super) ttl: Option<Duration>,
    /// The dead-letter exchange of expired messages. Without one they are dropped.
    pub(super) dead_letter_to: Option<&'static str>,
    /// The maximum length; the oldest messages beyond it are dropped.
    pub(super) max_length: Option<i64>,
}

impl Routing {
    pub(super) fn new(topology: &Topology) -> Self {
        let exchange = |name: &'static str, kind, alternate| Exchange {
            kind,
            alternate,
            bindings: topology
                .bindings
                .iter()
                .copied()
                .filter(|binding| binding.exchange == name)
                .collect(),
        };
        Self {
            exchanges: topology
                .exchanges
                .iter()
                .map(|declared| {
                    let made = exchange(declared.name, declared.kind, declared.alternate);
                    (declared.name, made)
                })
                .collect(),
            rules: topology
                .queues
                .iter()
                .map(|queue| (queue.name, Rules::of(queue)))
                .collect(),
        }
    }

    /// The queues that get a message published to this exchange with this key; `None` if the exchange does not exist.
    /// Existing reply queues are bound by their name.
    pub(super) fn route<'a>(
        &'a self,
        exchange: &str,
        key: &'a str,
        is_reply_queue: impl Fn(&str) -> bool,
    ) -> Option<Vec<&'a str>> {
        let mut name = exchange;
        loop {
            let exchange = self.exchanges.get(name)?;
            let mut queues: Vec<&str> = exchange
                .bindings
                .iter()
                .filter(|binding| matches_key(exchange.kind, binding.key, key))
                .map(|binding| binding.queue)
                .collect();
            if name == REPLIES && is_reply_queue(key) {
                queues.push(key);
            }
            match exchange.alternate {
                Some(alternate) if queues.is_empty() => name = alternate,
                _ => return Some(queues),
            }
        }
    }

    /// The rules of this queue; reply queues have none.
    pub(super) fn rules(&self, queue: &str) -> Rules {
        self.rules.get(queue).copied().unwrap_or_default()
    }

    /// The names of the declared queues.
    pub(super) fn queues(&self) -> impl Iterator<Item = &'static str> {
        self.rules.keys().copied()
    }
}

impl Rules {
    fn of(queue: &QueueDeclaration) -> Self {
        let mut rules = Self::default();
        for (name, value) in &queue.arguments {
            match (*name, *value) {
                ("x-message-ttl", Argument::Number(ms)) => {
                    rules.ttl = Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
                }
                ("x-dead-letter-exchange", Argument::Text(exchange)) => rules.dead_letter_to = Some(exchange),
                ("x-max-length", Argument::Number(length)) => rules.max_length = Some(length),
                _ => {}
            }
        }
        rules
    }
}

/// Whether a binding matches a routing key. Patterns in the topology are whole keys or `#`.
fn matches_key(kind: ExchangeKind, pattern: &str, key: &str) -> bool {
    match kind {
        ExchangeKind::Fanout => true,
        ExchangeKind::Direct => pattern == key,
        ExchangeKind::Topic => pattern == "#" || pattern == key,
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::Kind;
    use lockstep_protocol::topology::{Destination, Lane, ReplyQueue, RetryDelay};

    use super::*;

    #[test]
    fn every_destination_reaches_its_queue() {
        let reply = ReplyQueue::of("netbox", "1").expect("the name is short");
        let gone = ReplyQueue::of("netbox", "gone").expect("the name is short");
        let table = [
            (
                Destination::Ingress(Kind::InterfaceUpdated),
                "lockstep.lane.events",
            ),
            (
                Destination::Ingress(Kind::RepositoryChanged),
                "lockstep.lane.repositories",
            ),
            (
                Destination::Ingress(Kind::DeviceMarkRequested),
                "lockstep.lane.commands",
            ),
            (
                Destination::Type("lockstep.sync.requested".to_owned()),
                "lockstep.lane.executions",
            ),
            (Destination::Type("#".to_owned()), "lockstep.unrouted"),
            (Destination::Lane(Lane::Cvp), "lockstep.lane.cvp"),
            (Destination::Lane(Lane::Dead), "lockstep.dead"),
            (
                Destination::Delay(RetryDelay::Minutes2, Lane::Cvp),
                "lockstep.delay.2m",
            ),
            (Destination::Reply(reply.clone()), "lockstep.reply.netbox.1"),
            (Destination::Reply(gone), "lockstep.results"),
            (Destination::Results(Kind::EventApplied), "lockstep.results"),
        ];
        let routing = Routing::new(&Topology::new(1.0));
        for (destination, expected) in table {
            let queues = routing.route(destination.exchange(), destination.routing_key(), |name| {
                name == reply.as_str()
            });
            assert_eq!(queues, Some(vec![expected]), "{destination:?}");
        }
        assert_eq!(routing.route("amq.topic", "x", |_| false), None);
    }

    #[test]
    fn every_topic_pattern_is_a_whole_key_or_a_hash() {
        for binding in Topology::new(1.0).bindings {
            assert!(
                binding.key == "#" || !binding.key.contains(['#', '*']),
                "{binding:?} has a pattern that routing does not support"
            );
        }
    }

    #[test]
    fn rules_are_read_from_the_queue_arguments() {
        let routing = Routing::new(&Topology::new(0.5));
        let delay = routing.rules("lockstep.delay.5s");
        assert_eq!(delay.ttl, Some(Duration::from_millis(2500)));
        assert_eq!(delay.dead_letter_to, Some("lockstep.work"));
        let results = routing.rules("lockstep.results");
        assert_eq!(results.max_length, Some(100_000));
        assert_eq!(results.ttl, Some(Duration::from_hours(24)));
        assert_eq!(results.dead_letter_to, None);
    }
}
