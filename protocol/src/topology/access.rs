//! Who may do what at the broker: the rights of each role, and the policies an operator tunes. Plain data; the broker
//! set-up makes it so, the definitions file says it, and all tests run under it.

use std::fmt;

use serde::Serialize;

use super::{EVENTS, Lane, REPLIES, REPLY_PREFIX, RESULTS, RetryDelay, UNROUTED, WORK};
use crate::{Class, Kind};

/// For what a program talks to the broker. Each has a user of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Declares exchanges, queues and bindings.
    Setup,
    /// Works lanes.
    Worker,
    /// Publishes what forges and services send by HTTP: events.
    Gateway,
    /// Publishes for operators: events and commands.
    Console,
    /// Another service that publishes and waits for answers.
    Producer,
    /// Looks at figures by the management API; sees no message.
    Monitor,
}

/// What a user may do at the broker: regular expressions on names of exchanges and queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// What it may declare and delete.
    pub configure: String,
    /// Where it may publish, and which queues it may bind.
    pub write: String,
    /// What it may consume, and which exchanges it may bind to.
    pub read: String,
    /// Within topic exchanges; where there is none for an exchange, every key is allowed.
    pub topics: Vec<TopicRights>,
}

/// What a user may do at one topic exchange: regular expressions on routing keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicRights {
    /// The exchange.
    pub exchange: &'static str,
    /// With which keys it may publish.
    pub write: String,
    /// With which keys it may bind.
    pub read: String,
}

/// A setting an operator may tune without touching the queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// Its name.
    pub name: &'static str,
    /// Which queues it is for: a regular expression on names.
    pub pattern: String,
    /// The most messages of each; beyond, publishers are refused.
    pub max_length: u32,
}

/// Nothing matches it.
const NOTHING: &str = "^$";

impl Role {
    /// Every role.
    pub const ALL: &[Self] = &[
        Self::Setup,
        Self::Worker,
        Self::Gateway,
        Self::Console,
        Self::Producer,
        Self::Monitor,
    ];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Worker => "worker",
            Self::Gateway => "gateway",
            Self::Console => "console",
            Self::Producer => "producer",
            Self::Monitor => "monitor",
        }
    }

    /// What the role does, for tables.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Setup => "declares exchanges, queues and bindings",
            Self::Worker => "works lanes, publishes results and retries",
            Self::Gateway => "publishes events",
            Self::Console => "publishes events and commands",
            Self::Producer => "publishes what it is allowed to, reads its own answers",
            Self::Monitor => "reads figures by the management API",
        }
    }

    /// What the management API lets it do: the tag of its user.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Monitor => "monitoring",
            Self::Setup | Self::Worker | Self::Gateway | Self::Console | Self::Producer => "",
        }
    }

    /// The least that a user of this role needs. A producer may publish every event and no command; give it less, or more,
    /// with [`Rights::publishing`].
    pub fn rights(self, user: &str) -> Rights {
        match self {
            Self::Setup => Rights {
                configure: r"^lockstep\..*$".to_owned(),
                write: r"^lockstep\..*$".to_owned(),
                read: r"^lockstep\..*$".to_owned(),
                topics: Vec::new(),
            },
            Self::Worker => Rights {
                configure: NOTHING.to_owned(),
                write: exactly(
                    [WORK, REPLIES, RESULTS]
                        .into_iter()
                        .chain(RetryDelay::ALL.iter().map(|delay| delay.exchange())),
                ),
                read: exactly(Lane::ALL.iter().map(|lane| lane.queue()).chain([UNROUTED])),
                topics: Vec::new(),
            },
            Self::Gateway => Rights::publisher().publishing(kinds(&[Class::Event])),
            Self::Console => Rights::publisher().publishing(kinds(&[Class::Event, Class::Command])),
            Self::Producer => {
                let own = format!("{}{}\\.[^.*#]+", escape(REPLY_PREFIX), escape(user));
                let rights = Rights {
                    configure: format!("^{own}$"),
                    write: format!("^({}|{own})$", escape(EVENTS)),
                    read: format!("^({}|{own})$", escape(REPLIES)),
                    // Its answers, not those of others: neither by their name nor by a pattern.
                    topics: vec![TopicRights {
                        exchange: REPLIES,
                        write: NOTHING.to_owned(),
                        read: format!("^{own}$"),
                    }],
                };
                rights.publishing(kinds(&[Class::Event]))
            }
            Self::Monitor => Rights {
                configure: NOTHING.to_owned(),
                write: NOTHING.to_owned(),
                read: NOTHING.to_owned(),
                topics: Vec::new(),
            },
        }
    }
}

impl Rights {
    /// The same rights, but to publish exactly these types of messages from the outside.
    #[must_use]
    pub fn publishing(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.topics.retain(|topic| topic.exchange != EVENTS);
        self.topics.push(TopicRights {
            exchange: EVENTS,
            write: exactly(kinds.into_iter().map(Kind::as_str)),
            read: NOTHING.to_owned(),
        });
        self
    }

    fn publisher() -> Self {
        Self {
            configure: NOTHING.to_owned(),
            write: exactly([EVENTS]),
            read: NOTHING.to_owned(),
            topics: Vec::new(),
        }
    }
}

/// The policies of the broker set-up. Only what takes messages from the outside has a length: publishers are refused there
/// when workers do not keep up. What workers publish among themselves has none, or it would lock up.
pub fn policies(ingress_max_length: u32) -> Vec<Policy> {
    let ingress_lanes = Lane::ALL.iter().filter(|lane| is_ingress(**lane));
    vec![Policy {
        name: "lockstep-ingress",
        pattern: exactly(ingress_lanes.map(|lane| lane.queue())),
        max_length: ingress_max_length,
    }]
}

/// How many messages wait in an inlet lane at most, unless an operator says otherwise.
pub const INLET_MAX_LENGTH: u32 = 100_000;

fn is_ingress(lane: Lane) -> bool {
    Kind::ALL.iter().any(|kind| kind.ingress() == Some(lane))
}

fn kinds(classes: &[Class]) -> impl Iterator<Item = Kind> {
    let kinds = Kind::ALL.iter().copied();
    kinds.filter(|kind| classes.contains(&kind.class()))
}

/// A pattern that matches these names and no other.
fn exactly<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(escape).collect();
    match names.as_slice() {
        [] => NOTHING.to_owned(),
        [name] => format!("^{name}$"),
        names => format!("^({})$", names.join("|")),
    }
}

/// Text that a pattern takes as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for dead_letter in text.chars() {
        if dead_letter.is_ascii_punctuation() && !matches!(dead_letter, '-' | '_') {
            escaped.push('\\');
        }
        escaped.push(dead_letter);
    }
    escaped
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::Topology;

    #[test]
    fn patterns_are_what_they_are() {
        let table = [
            (
                Role::Worker.rights("w").write,
                r"^(lockstep\.work|lockstep\.replies|lockstep\.results|lockstep\.delay\.5s|lockstep\.delay\.30s|lockstep\.delay\.2m|lockstep\.delay\.10m)$",
            ),
            (
                Role::Worker.rights("w").read,
                r"^(lockstep\.lane\.events|lockstep\.lane\.repositories|lockstep\.lane\.commands|lockstep\.lane\.devices|lockstep\.lane\.cvp|lockstep\.dead|lockstep\.unrouted)$",
            ),
            (Role::Gateway.rights("g").write, r"^lockstep\.events$"),
            (
                Role::Producer.rights("net.box").configure,
                r"^lockstep\.reply\.net\.box\.[^.*#]+$",
            ),
            (
                Role::Producer.rights("p").read,
                r"^(lockstep\.replies|lockstep\.reply\.p\.[^.*#]+)$",
            ),
            (
                policies(1).remove(0).pattern,
                r"^(lockstep\.lane\.events|lockstep\.lane\.repositories|lockstep\.lane\.commands)$",
            ),
        ];
        for (pattern, expected) in table {
            assert_eq!(pattern, expected);
        }
    }

    #[test]
    fn only_the_set_up_and_producers_declare() {
        for role in Role::ALL {
            let declares = role.rights("u").configure != NOTHING;
            assert_eq!(declares, matches!(role, Role::Setup | Role::Producer), "{role}");
        }
    }

    #[test]
    fn only_the_console_publishes_commands() {
        for role in Role::ALL {
            let rights = role.rights("u");
            let events = rights.topics.iter().find(|topic| topic.exchange == EVENTS);
            let commands = events.is_some_and(|topic| topic.write.contains("-requested"));
            assert_eq!(commands, *role == Role::Console, "{role}");
            // Without a topic permission, whoever may write to the exchange may publish all.
            let writes = rights.write.contains(&escape(EVENTS));
            assert_eq!(writes, events.is_some(), "{role}");
        }
    }

    #[test]
    fn a_policy_bounds_no_queue_that_workers_publish_to() {
        let pattern = policies(INLET_MAX_LENGTH).remove(0).pattern;
        for queue in Topology::new(1.0).queues {
            let bounded = pattern.contains(&format!("{}|", escape(queue.name)))
                || pattern.contains(&format!("{})", escape(queue.name)));
            let ingress = Lane::ALL
                .iter()
                .any(|lane| lane.queue() == queue.name && is_ingress(*lane));
            assert_eq!(bounded, ingress, "{}", queue.name);
        }
    }

    #[test]
    fn fewer_types_replace_the_usual_ones() {
        let rights = Role::Producer.rights("p").publishing([Kind::InterfaceUpdated]);
        let events: Vec<&TopicRights> = rights.topics.iter().filter(|t| t.exchange == EVENTS).collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].write, r"^lockstep\.interface\.updated$");
    }
}
