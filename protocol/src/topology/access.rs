//! The permissions of each role at the broker, and the policies that operators may tune. Plain data: the broker set-up
//! applies it, the definitions file contains it, and the tests run with these permissions.

use std::fmt;

use serde::Serialize;

use super::{EVENTS, Lane, REPLIES, REPLY_PREFIX, RESULTS, RetryDelay, UNROUTED, WORK};
use crate::{Class, Kind};

/// The role of a program at the broker. Each role has its own broker user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Declares exchanges, queues and bindings.
    Setup,
    /// Processes lanes.
    Worker,
    /// Publishes the events that forges and services send by HTTP.
    Gateway,
    /// Publishes events and commands for operators.
    Console,
    /// A service that publishes events and reads the results.
    Producer,
    /// Reads statistics by the management API; has no access to messages.
    Monitor,
}

/// The permissions of a broker user: regular expressions that match names of exchanges and queues.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rights {
    /// Exchanges and queues it may declare and delete.
    pub configure: String,
    /// Exchanges it may publish to, and queues it may bind.
    pub write: String,
    /// Queues it may consume, and exchanges it may bind queues to.
    pub read: String,
    /// Topic permissions. On an exchange without one, the user may use every routing key.
    pub topics: Vec<TopicRights>,
}

/// A user's permissions at one topic exchange: regular expressions that match routing keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TopicRights {
    /// The name of the topic exchange.
    pub exchange: &'static str,
    /// Routing keys it may publish with.
    pub write: String,
    /// Routing keys it may bind with.
    pub read: String,
}

/// A broker policy. Operators may change it without declaring the queues again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Policy {
    /// The policy's name.
    pub name: &'static str,
    /// The queues it applies to: a regular expression that matches their names.
    pub pattern: String,
    /// The most messages in each queue. The broker refuses further ones (`reject-publish`).
    pub max_length: u32,
    /// The most bytes of bodies in each queue; the broker refuses further ones in the same way.
    pub max_length_bytes: u64,
}

/// A pattern that matches no name.
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

    /// One line about the role, for tables.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Setup => "declares exchanges, queues and bindings",
            Self::Worker => "processes lanes, publishes results and retries",
            Self::Gateway => "publishes events",
            Self::Console => "publishes events and commands",
            Self::Producer => "publishes allowed types, reads its own replies",
            Self::Monitor => "reads statistics by the management API",
        }
    }

    /// The user tag, which decides what the management API allows; empty for none.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::Monitor => "monitoring",
            Self::Setup | Self::Worker | Self::Gateway | Self::Console | Self::Producer => "",
        }
    }

    /// The permissions that a user of this role needs, and no more. A producer may publish every event and no command; change
    /// that with [`Rights::publishing`].
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
                    // Without this a producer could bind its queue with the routing key of another one's replies.
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
    /// The same permissions, but at `lockstep.events` only these message types may be published.
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

/// The policies of the broker set-up. Only ingress lanes have a maximum length: the broker refuses publishers there when
/// workers do not keep up. Queues that workers publish to have none, since a worker that is refused cannot acknowledge
/// its deliveries, and the queues would never drain.
pub fn policies(ingress_max_length: u32) -> Vec<Policy> {
    let ingress_lanes = Lane::ALL.iter().filter(|lane| is_ingress(**lane));
    vec![Policy {
        name: "lockstep-ingress",
        pattern: exactly(ingress_lanes.map(|lane| lane.queue())),
        max_length: ingress_max_length,
        max_length_bytes: INGRESS_MAX_LENGTH_BYTES,
    }]
}

/// The default maximum length of an ingress lane, in messages.
pub const INGRESS_MAX_LENGTH: u32 = 100_000;
/// The maximum size of an ingress lane, in bytes of bodies: 1 GiB, some 10 KiB for each message of a full lane.
pub const INGRESS_MAX_LENGTH_BYTES: u64 = 1 << 30;

fn is_ingress(lane: Lane) -> bool {
    Kind::ALL.iter().any(|kind| kind.ingress() == Some(lane))
}

fn kinds(classes: &[Class]) -> impl Iterator<Item = Kind> {
    let kinds = Kind::ALL.iter().copied();
    kinds.filter(|kind| classes.contains(&kind.class()))
}

/// A pattern that matches exactly these names.
fn exactly<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(escape).collect();
    match names.as_slice() {
        [] => NOTHING.to_owned(),
        [name] => format!("^{name}$"),
        names => format!("^({})$", names.join("|")),
    }
}

/// Escapes a text so that a pattern matches it literally.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii_punctuation() && !matches!(character, '-' | '_') {
            escaped.push('\\');
        }
        escaped.push(character);
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
    fn patterns_name_exactly_the_objects_of_a_role() {
        let table = [
            (
                Role::Worker.rights("w").write,
                r"^(lockstep\.work|lockstep\.replies|lockstep\.results|lockstep\.delay\.5s|lockstep\.delay\.30s|lockstep\.delay\.2m|lockstep\.delay\.10m)$",
            ),
            (
                Role::Worker.rights("w").read,
                r"^(lockstep\.lane\.events|lockstep\.lane\.repositories|lockstep\.lane\.commands|lockstep\.lane\.executions|lockstep\.lane\.devices|lockstep\.lane\.cvp|lockstep\.dead|lockstep\.unrouted)$",
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
                r"^(lockstep\.lane\.events|lockstep\.lane\.repositories|lockstep\.lane\.commands|lockstep\.lane\.executions)$",
            ),
        ];
        for (pattern, expected) in table {
            assert_eq!(pattern, expected);
        }
    }

    #[test]
    fn only_set_up_and_producers_may_declare() {
        for role in Role::ALL {
            let declares = role.rights("u").configure != NOTHING;
            assert_eq!(declares, matches!(role, Role::Setup | Role::Producer), "{role}");
        }
    }

    #[test]
    fn only_the_console_may_publish_commands() {
        for role in Role::ALL {
            let rights = role.rights("u");
            let events = rights.topics.iter().find(|topic| topic.exchange == EVENTS);
            let commands = events.is_some_and(|topic| topic.write.contains("-requested"));
            assert_eq!(commands, *role == Role::Console, "{role}");
            // Without a topic permission, a user with write permission on the exchange may publish every type.
            let writes = rights.write.contains(&escape(EVENTS));
            assert_eq!(writes, events.is_some(), "{role}");
        }
    }

    #[test]
    fn a_policy_bounds_no_queue_that_workers_publish_to() {
        let pattern = policies(INGRESS_MAX_LENGTH).remove(0).pattern;
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
    fn publishing_replaces_the_default_types() {
        let rights = Role::Producer.rights("p").publishing([Kind::InterfaceUpdated]);
        let events: Vec<&TopicRights> = rights.topics.iter().filter(|t| t.exchange == EVENTS).collect();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].write, r"^lockstep\.interface\.updated$");
    }
}
