use jiff::Timestamp;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::{Envelope, Hostname};
use lockstep_store::{DeviceEffect, Facts, Version};

use crate::groups::RulesInUse;

/// What a handler may know besides the body and the facts.
#[derive(Clone, Copy, Debug)]
pub struct HandlerContext<'a> {
    envelope: &'a Envelope,
    now: Timestamp,
    types: &'a DeviceTypes,
    groups: Option<&'a RulesInUse>,
}

impl<'a> HandlerContext<'a> {
    /// The context of a message that was received at `now`.
    pub fn new(envelope: &'a Envelope, now: Timestamp, types: &'a DeviceTypes) -> Self {
        Self {
            envelope,
            now,
            types,
            groups: None,
        }
    }

    /// The same, with the rules of groups that were read before.
    #[must_use]
    pub fn with_groups(self, groups: &'a RulesInUse) -> Self {
        Self {
            groups: Some(groups),
            ..self
        }
    }

    /// The memberships by rule of devices that the message creates or renames, by their new names. It asks for
    /// [`group_rules`](lockstep_store::Keys::group_rules).
    pub fn join_by_rule(
        &self,
        facts: &Facts,
        hostnames: impl IntoIterator<Item = Hostname>,
    ) -> Vec<DeviceEffect> {
        let rules = facts.group_rules();
        match self.groups {
            Some(groups) => groups.join(rules, hostnames),
            None => RulesInUse::default().join(rules, hostnames),
        }
    }

    /// The device types of the site.
    pub fn types(&self) -> &'a DeviceTypes {
        self.types
    }

    /// The version that the message gives to the state it writes: the last writer wins. A message from a clock that runs
    /// ahead must not shut out later ones, so the time of the version is never later than the receipt.
    pub fn version(&self) -> Version {
        Version {
            time: self.envelope.time.map_or(self.now, |time| time.min(self.now)),
            id: self.envelope.identity.id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use lockstep_protocol::events::{InterfaceUpdated, UpdateKind};
    use lockstep_protocol::{Envelope, Source};

    use super::super::fixtures::{at, hostname};
    use super::*;

    #[test]
    fn a_message_from_the_future_has_the_version_of_its_receipt() {
        let body = InterfaceUpdated {
            hostname: hostname("sw1"),
            interfaces: Vec::new(),
            kind: UpdateKind::Status,
        };
        let mut envelope = Envelope::new(Source::worker(), at(50), body);
        let types = DeviceTypes::default();
        let time = |envelope: &Envelope, now| HandlerContext::new(envelope, at(now), &types).version().time;
        assert_eq!(time(&envelope, 40), at(40));
        assert_eq!(time(&envelope, 60), at(50));
        envelope.time = None;
        assert_eq!(time(&envelope, 60), at(60));
    }
}
