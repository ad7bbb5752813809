//! The broker's objects as plain data: exchanges, queues, bindings, and where a message goes.
//!
//! What must hold without any set-up is an argument, alike on RabbitMQ 3.10 and 4.x (`reference/rabbitmq.md` §3.3).
//! What an operator tunes, such as the lengths of inlet lanes, is a policy of the broker set-up and not here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{Class, Kind};

/// Where anyone with permission publishes events and commands.
pub const EVENTS: &str = "lockstep.events";
/// Internal follow-up work and retries; the routing key is the lane.
pub const WORK: &str = "lockstep.work";
/// What cannot be done.
pub const DEAD: &str = "lockstep.dead";
/// Answers to those who asked for them; the routing key is the `reply_to`.
pub const REPLIES: &str = "lockstep.replies";
/// Answers that named no reply queue, or one that is gone.
pub const RESULTS: &str = "lockstep.results";
/// What no binding wanted.
pub const UNROUTED: &str = "lockstep.unrouted";
/// How every reply queue's name begins; the user's name and a random part follow.
pub const REPLY_PREFIX: &str = "lockstep.reply.";

/// The last resort of the broker against a message that is never settled. Poison is found by the store, much earlier:
/// every prefetched message pays for each lost connection, so this must be out of reach of bad luck.
pub const DELIVERY_LIMIT: i64 = 1000;
/// The most results kept for nobody in particular; beyond that the oldest go. The store keeps every outcome anyway.
pub const RESULTS_MAX_LENGTH: i64 = 100_000;
/// How long such a result is kept.
pub const RESULTS_TTL: Duration = Duration::from_hours(24);
/// How long a reply queue outlives its last reader.
pub const REPLY_EXPIRES: Duration = Duration::from_hours(1);

/// One work queue and the way its messages are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// Events that flip flags, in micro-batches.
    Events,
    /// Git: a run at a time for each repository.
    Repositories,
    /// Commands about state, in micro-batches.
    Commands,
    /// Runs on devices.
    Devices,
    /// Runs on CloudVision.
    Cvp,
    /// Dead letters on their way into the table.
    Dead,
}

impl Lane {
    /// Every lane.
    pub const ALL: &[Self] = &[
        Self::Events,
        Self::Repositories,
        Self::Commands,
        Self::Devices,
        Self::Cvp,
        Self::Dead,
    ];

    /// The lane's name, which is its routing key at [`WORK`].
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Repositories => "repositories",
            Self::Commands => "commands",
            Self::Devices => "devices",
            Self::Cvp => "cvp",
            Self::Dead => "dead",
        }
    }

    /// The lane's queue.
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Events => "lockstep.lane.events",
            Self::Repositories => "lockstep.lane.repositories",
            Self::Commands => "lockstep.lane.commands",
            Self::Devices => "lockstep.lane.devices",
            Self::Cvp => "lockstep.lane.cvp",
            Self::Dead => DEAD,
        }
    }
}

impl std::str::FromStr for Lane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|lane| lane.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|lane| lane.as_str()).collect();
                format!("{text:?} is no lane; there are {}", known.join(", "))
            })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One step of the retry ladder: waiting happens in the broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rung {
    /// Five seconds.
    Seconds5,
    /// Thirty seconds.
    Seconds30,
    /// Two minutes.
    Minutes2,
    /// Ten minutes.
    Minutes10,
}

impl Rung {
    /// The ladder, from the first wait to the last.
    pub const ALL: &[Self] = &[Self::Seconds5, Self::Seconds30, Self::Minutes2, Self::Minutes10];

    /// How long a message waits here.
    pub const fn delay(self) -> Duration {
        match self {
            Self::Seconds5 => Duration::from_secs(5),
            Self::Seconds30 => Duration::from_secs(30),
            Self::Minutes2 => Duration::from_mins(2),
            Self::Minutes10 => Duration::from_mins(10),
        }
    }

    /// The exchange of this rung, and the name of its queue.
    pub const fn exchange(self) -> &'static str {
        match self {
            Self::Seconds5 => "lockstep.delay.5s",
            Self::Seconds30 => "lockstep.delay.30s",
            Self::Minutes2 => "lockstep.delay.2m",
            Self::Minutes10 => "lockstep.delay.10m",
        }
    }
}

/// The name of a reply queue: `lockstep.reply.USER.RANDOM`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReplyQueue(String);

/// The text cannot name a reply queue.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no reply queue: it must begin with `lockstep.reply.` and have at most 255 bytes")]
pub struct ReplyQueueError(pub String);

impl ReplyQueue {
    /// The reply queue of this user with this random part.
    ///
    /// # Errors
    /// When the name would be too long.
    pub fn of(user: &str, random: &str) -> Result<Self, ReplyQueueError> {
        Self::try_from(format!("{REPLY_PREFIX}{user}.{random}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ReplyQueue {
    type Error = ReplyQueueError;

    fn try_from(text: String) -> Result<Self, ReplyQueueError> {
        let named = text.len() > REPLY_PREFIX.len() && text.starts_with(REPLY_PREFIX);
        if named && text.len() <= 255 && !text.chars().any(char::is_control) {
            Ok(Self(text))
        } else {
            Err(ReplyQueueError(text))
        }
    }
}

/// A queue somebody reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Queue {
    /// A lane's queue.
    Lane(Lane),
    /// Results for nobody in particular.
    Results,
    /// What no binding wanted.
    Unrouted,
    /// Answers for one requester, who declares it by reading it.
    Reply(ReplyQueue),
}

impl Queue {
    /// The queue's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Lane(lane) => lane.queue(),
            Self::Results => RESULTS,
            Self::Unrouted => UNROUTED,
            Self::Reply(reply) => reply.as_str(),
        }
    }
}

/// Where a message is published to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// To whichever lane takes messages of this type: events and commands from the outside.
    Inlet(Kind),
    /// To whichever lane takes messages of this type, if any: text from the outside that may be no known type.
    Type(String),
    /// Straight to a lane: follow-up work.
    Lane(Lane),
    /// To a lane, later: a retry.
    Delay(Rung, Lane),
    /// To the dead letters.
    Dead,
    /// To whoever asked; falls through to the results if nobody listens.
    Reply(ReplyQueue),
    /// To the results, for nobody in particular.
    Results(Kind),
}

impl Destination {
    /// The exchange.
    pub fn exchange(&self) -> &'static str {
        match self {
            Self::Inlet(_) | Self::Type(_) => EVENTS,
            Self::Lane(_) => WORK,
            Self::Delay(rung, _) => rung.exchange(),
            Self::Dead => DEAD,
            Self::Reply(_) => REPLIES,
            Self::Results(_) => RESULTS,
        }
    }

    /// The routing key.
    pub fn routing_key(&self) -> &str {
        match self {
            Self::Inlet(kind) | Self::Results(kind) => kind.as_str(),
            Self::Type(text) => text,
            Self::Lane(lane) | Self::Delay(_, lane) => lane.as_str(),
            Self::Dead => "",
            Self::Reply(reply) => reply.as_str(),
        }
    }
}

/// How an exchange routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeKind {
    /// By equal keys.
    Direct,
    /// To all.
    Fanout,
    /// By patterns.
    Topic,
}

/// An exchange, durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ExchangeDeclaration {
    /// Its name.
    pub name: &'static str,
    /// How it routes.
    pub kind: ExchangeKind,
    /// Where it hands what it cannot route.
    pub alternate: Option<&'static str>,
}

/// The value of a queue's argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Argument {
    /// A text.
    Text(&'static str),
    /// A whole number.
    Number(i64),
}

/// A queue, durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueueDeclaration {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Vec<(&'static str, Argument)>,
}

/// A binding of a queue to an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The exchange.
    pub exchange: &'static str,
    /// The queue.
    pub queue: &'static str,
    /// The key.
    pub key: &'static str,
}

/// All objects that exist before the first message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Topology {
    /// Exchanges, each after the one it hands over to.
    pub exchanges: Vec<ExchangeDeclaration>,
    /// Queues.
    pub queues: Vec<QueueDeclaration>,
    /// Bindings.
    pub bindings: Vec<Binding>,
}

impl Topology {
    /// The objects of Lockstep. `ladder_scale` shortens the waits of the retry ladder for tests; 1.0 is the contract.
    pub fn new(ladder_scale: f64) -> Self {
        Self {
            exchanges: exchanges(),
            queues: queues(ladder_scale),
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
        Rung::ALL
            .iter()
            .map(|rung| exchange(rung.exchange(), ExchangeKind::Fanout, None)),
    );
    all
}

fn queues(ladder_scale: f64) -> Vec<QueueDeclaration> {
    let quorum = ("x-queue-type", Argument::Text("quorum"));
    // At-least-once dead-lettering needs reject-publish, also where no length is set.
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
    for rung in Rung::ALL {
        let wait = millis(rung.delay().mul_f64(ladder_scale));
        let mut arguments = vec![quorum, ("x-message-ttl", Argument::Number(wait))];
        arguments.extend(dead_letter_to(WORK));
        all.push(QueueDeclaration {
            name: rung.exchange(),
            arguments,
        });
    }
    // Without a limit of its own RabbitMQ 4 would drop what was returned twenty times; with no dead-letter exchange.
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
    for kind in Kind::ALL
        .iter()
        .copied()
        .filter(|kind| kind.class() != Class::Result)
    {
        let lane = kind.inlet().expect("events and commands have an inlet");
        all.push(Binding {
            exchange: EVENTS,
            queue: lane.queue(),
            key: kind.as_str(),
        });
    }
    for rung in Rung::ALL {
        all.push(Binding {
            exchange: rung.exchange(),
            queue: rung.exchange(),
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
    fn every_binding_joins_declared_objects() {
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
    fn alternates_are_declared_first() {
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
    fn what_dead_letters_at_least_once_rejects_instead_of_dropping() {
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

    #[test]
    fn a_reply_can_aim_at_nothing_but_a_reply_queue() {
        assert!(ReplyQueue::try_from("lockstep.lane.commands".to_owned()).is_err());
        assert!(ReplyQueue::try_from("lockstep.reply.".to_owned()).is_err());
        assert_eq!(
            ReplyQueue::of("netbox", "x").unwrap().as_str(),
            "lockstep.reply.netbox.x"
        );
    }
}
