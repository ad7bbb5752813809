//! Messages to send, and the expected outcome of each.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use lockstep_bus::{Bus, Outgoing, Properties};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::events::{
    ImportedDevice, InterfaceUpdated, InventoryImported, UpdateKind, UpdatedInterface,
};
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Code, DeviceType, Envelope, Hostname, Identity, Kind, Message, Source};

use super::Expected;

/// The messages that the broker accepted, with their expected outcomes.
pub(crate) type Sent = BTreeMap<Identity, Expected>;

/// A fleet, and events about its devices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Number of devices.
    pub(crate) devices: usize,
    /// Number of events.
    pub(crate) events: usize,
}

impl Load {
    /// An import of the fleet in one chunk, with all devices synchronized.
    pub(crate) fn fleet(self) -> Envelope {
        let devices = (0..self.devices).map(|number| ImportedDevice {
            synchronized: Some(true),
            ..device(&hostname(number), &DeviceType::ACCESS)
        });
        envelope(InventoryImported {
            devices: devices.collect(),
            ..InventoryImported::default()
        })
    }

    /// Events that flag the devices in turn.
    pub(crate) fn updates(self) -> Vec<Envelope> {
        (0..self.events)
            .map(|number| update(&hostname(number % self.devices)))
            .collect()
    }

    /// Publishes the fleet and the events, and returns their expected outcomes.
    pub(crate) async fn publish(self, bus: &dyn Bus) -> anyhow::Result<Sent> {
        let mut sent = Sent::new();
        let fleet = self.fleet();
        sent.insert(fleet.identity.clone(), Expected::Applied { flags: None });
        bus.publish(vec![outgoing(&fleet)]).await?;
        for chunk in self.updates().chunks(500) {
            bus.publish(chunk.iter().map(outgoing).collect()).await?;
            sent.extend(
                chunk
                    .iter()
                    .map(|envelope| (envelope.identity.clone(), flags(envelope))),
            );
        }
        Ok(sent)
    }
}

/// The hostname of a device of the fleet.
pub(crate) fn hostname(number: usize) -> Hostname {
    format!("sw{number}").parse().expect("it is a hostname")
}

/// A device with only a name and a type.
fn device(hostname: &Hostname, device_type: &DeviceType) -> ImportedDevice {
    serde_json::from_value(serde_json::json!({"hostname": hostname, "device_type": device_type}))
        .expect("it is a device")
}

/// An event that flags this device.
pub(crate) fn update(hostname: &Hostname) -> Envelope {
    let interface = UpdatedInterface {
        name: "Ethernet1".to_owned().try_into().expect("it is a name"),
        configuration: None,
    };
    let event = InterfaceUpdated {
        hostname: hostname.clone(),
        interfaces: vec![interface],
        kind: UpdateKind::Configuration,
    };
    envelope(event).with_subject(hostname.to_string())
}

/// A message of the tests with a new id.
pub(crate) fn envelope(message: impl Into<Message>) -> Envelope {
    let source = Source::try_from("urn:lockstep:test".to_owned()).expect("it is a source");
    Envelope::new(source, Timestamp::UNIX_EPOCH, message)
}

/// The expected outcome of an event that flags a device.
pub(crate) fn flags(envelope: &Envelope) -> Expected {
    Expected::Applied {
        flags: envelope
            .subject
            .as_deref()
            .map(|name| name.parse().expect("subjects here are hostnames")),
    }
}

/// The message for the bus.
pub(crate) fn outgoing(envelope: &Envelope) -> Outgoing {
    raw(
        envelope.message.kind(),
        envelope.identity.id.as_str(),
        envelope.encode(),
    )
}

/// Any bytes for the bus, as a message of this type.
pub(crate) fn raw(kind: Kind, id: &str, body: impl Into<Bytes>) -> Outgoing {
    Outgoing {
        destination: Destination::Ingress(kind),
        properties: Properties {
            message_id: Some(id.into()),
            kind: Some(kind.as_str().into()),
            content_type: Some(CONTENT_TYPE.into()),
            ..Properties::default()
        },
        body: body.into(),
    }
}

/// The expected outcome of a message that is dead-lettered with this code.
pub(crate) fn dead(code: Code) -> Expected {
    Expected::Dead { code }
}
