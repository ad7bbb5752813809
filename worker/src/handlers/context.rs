use jiff::Timestamp;
use lockstep_intent::fleet::DeviceTypes;
use lockstep_protocol::Envelope;
use lockstep_store::Version;

/// What a handler may know besides the body and the facts.
#[derive(Clone, Copy, Debug)]
pub struct HandlerContext<'a> {
    envelope: &'a Envelope,
    now: Timestamp,
    types: &'a DeviceTypes,
}

impl<'a> HandlerContext<'a> {
    /// The context of a message that was received at `now`.
    pub fn new(envelope: &'a Envelope, now: Timestamp, types: &'a DeviceTypes) -> Self {
        Self { envelope, now, types }
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
