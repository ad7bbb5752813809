//! The permissions that a role needs at the broker, and those it should not have, as questions for a probe. Pure.

use lockstep_protocol::topology::access::Role;
use lockstep_protocol::topology::{EVENTS, Lane, REPLIES, RESULTS, RetryDelay, UNROUTED, WORK};
use lockstep_protocol::{Class, Kind};

/// A permission that a probe can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// Publishing to an exchange with a key.
    Publish(&'static str, &'static str),
    /// Consuming from a queue.
    Read(&'static str),
}

/// The permissions that the role needs.
pub(super) fn needed(role: Role, lanes: &[Lane]) -> Vec<Question> {
    match role {
        Role::Worker => {
            let publishing = [WORK, REPLIES, RESULTS]
                .into_iter()
                .chain(RetryDelay::ALL.iter().map(|delay| delay.exchange()))
                .map(|exchange| Question::Publish(exchange, ""));
            let reading = lanes.iter().map(|lane| lane.queue()).chain([UNROUTED]);
            publishing.chain(reading.map(Question::Read)).collect()
        }
        Role::Gateway => types(&[Class::Event]),
        Role::Console => types(&[Class::Event, Class::Command]),
        Role::Setup | Role::Producer | Role::Monitor => Vec::new(),
    }
}

/// Permissions that the role does not need. The default exchange routes into every queue.
pub(super) fn excess(role: Role) -> Vec<Question> {
    let mut all = vec![Question::Publish("", "lockstep.lane.commands")];
    match role {
        Role::Worker => all.push(Question::Publish(EVENTS, Kind::SyncRequested.as_str())),
        Role::Gateway => {
            all.push(Question::Publish(EVENTS, Kind::SyncRequested.as_str()));
            all.push(Question::Publish(WORK, Lane::Commands.as_str()));
            all.push(Question::Read(Lane::Events.queue()));
        }
        Role::Console => {
            all.push(Question::Publish(WORK, Lane::Commands.as_str()));
            all.push(Question::Read(Lane::Events.queue()));
        }
        Role::Setup | Role::Producer | Role::Monitor => {}
    }
    all
}

fn types(classes: &[Class]) -> Vec<Question> {
    let kinds = Kind::ALL.iter().filter(|kind| classes.contains(&kind.class()));
    kinds
        .map(|kind| Question::Publish(EVENTS, kind.as_str()))
        .collect()
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Publish("", _) => f.write_str("publish to the default exchange"),
            Self::Publish(exchange, "") => write!(f, "publish to {exchange}"),
            Self::Publish(exchange, key) => write!(f, "publish {key} to {exchange}"),
            Self::Read(queue) => write!(f, "consume from {queue}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_permission_is_both_needed_and_excess() {
        for role in [Role::Worker, Role::Gateway, Role::Console] {
            let needed = needed(role, Lane::ALL);
            assert!(!needed.is_empty(), "{role}");
            assert!(
                excess(role).iter().all(|question| !needed.contains(question)),
                "{role}"
            );
        }
    }

    #[test]
    fn a_worker_consumes_only_its_lanes() {
        let needed = needed(Role::Worker, &[Lane::Devices]);
        assert!(needed.contains(&Question::Read("lockstep.lane.devices")));
        assert!(!needed.contains(&Question::Read("lockstep.lane.events")));
    }
}
