//! The messages that every contender processes, and the answer to one of them.

use jiff::Timestamp;
use lockstep_bus::{Outgoing, Properties};
use lockstep_clock::{Clock, SystemClock};
use lockstep_protocol::envelope::CONTENT_TYPE;
use lockstep_protocol::topology::Destination;
use lockstep_protocol::{Envelope, Kind, MessageId};
use serde_json::json;

/// A stride that is coprime to the number of devices, so that neighbours in the queue concern different devices.
const STRIDE: u32 = 7919;

/// The hostname of the device with this number.
pub(crate) fn hostname(device: u32) -> String {
    format!("access-{device:05}")
}

/// The event with this number in a run: an interface of one device has a new configuration.
pub(crate) fn event(run: &str, number: u32, devices: u32) -> Event {
    event_with_id(format!("{run}-{number}"), number, devices)
}

/// As [`event`], with this id.
pub(crate) fn event_with_id(id: String, number: u32, devices: u32) -> Event {
    let hostname = hostname(number.wrapping_mul(STRIDE) % devices);
    let data = json!({"hostname": &hostname, "kind": "configuration", "interfaces": [{"name": "Ethernet1"}]});
    event_of(Kind::InterfaceUpdated, id, &hostname, &data)
}

/// The event with this number in a run of mixed kinds: interfaces, links, upgrades, states and management domains.
pub(crate) fn mixed_event(run: &str, number: u32, devices: u32) -> Event {
    let device = number.wrapping_mul(STRIDE) % devices;
    let (one, other) = (hostname(device), hostname((device + 1) % devices));
    let id = format!("{run}-{number}");
    let (kind, data) = match number % 10 {
        0..=3 => return event(run, number, devices),
        4 | 5 => {
            let action = if number % 20 < 10 { "added" } else { "updated" };
            let a = json!({"hostname": &one, "interface": "Ethernet51"});
            let b = json!({"hostname": &other, "interface": "Ethernet52"});
            (Kind::LinknetChanged, json!({"action": action, "a": a, "b": b}))
        }
        6 | 7 => {
            let version = format!("4.32.{}F", number % 5);
            (
                Kind::DeviceUpgraded,
                json!({"hostname": &one, "os_version": version}),
            )
        }
        8 => {
            let state = if number % 20 < 10 { "UNMANAGED" } else { "MANAGED" };
            (
                Kind::DeviceStateChanged,
                json!({"hostname": &one, "state": state}),
            )
        }
        _ => (
            Kind::MgmtdomainChanged,
            json!({"action": "updated", "device_a": &one, "device_b": &other}),
        ),
    };
    event_of(kind, id, &one, &data)
}

fn event_of(kind: Kind, id: String, subject: &str, data: &serde_json::Value) -> Event {
    let now = SystemClock.now();
    let body = json!({
        "specversion": "1.0",
        "id": &id,
        "source": "urn:example:netbox",
        "type": kind.as_str(),
        "subject": subject,
        "time": now.to_string(),
        "datacontenttype": "application/json",
        "data": data,
    });
    Event {
        id,
        kind,
        at: now,
        body: body.to_string(),
    }
}

/// An encoded event.
pub(crate) struct Event {
    pub(crate) id: String,
    kind: Kind,
    pub(crate) at: Timestamp,
    pub(crate) body: String,
}

impl Event {
    /// The event as a message of the bus.
    pub(crate) fn outgoing(self) -> Outgoing {
        Outgoing {
            destination: Destination::Ingress(self.kind),
            properties: Properties {
                message_id: Some(self.id.into()),
                kind: Some(self.kind.as_str().into()),
                content_type: Some(CONTENT_TYPE.into()),
                timestamp: Some(self.at),
                ..Properties::default()
            },
            body: self.body.into(),
        }
    }
}

/// An answer of the same length as Lockstep's, for the bare loop.
pub(crate) fn answer() -> Vec<u8> {
    let hostname = hostname(0);
    let cause = format!("urn:example:netbox {}-12345", run());
    let now = SystemClock.now();
    let body = json!({
        "specversion": "1.0",
        "id": MessageId::new(),
        "source": "urn:lockstep:worker",
        "type": Kind::EventApplied.as_str(),
        "subject": &hostname,
        "time": now.to_string(),
        "datacontenttype": "application/json",
        "causationid": cause,
        "data": {
            "outcome": "applied",
            "scope": "device",
            "flipped": 1,
            "devices": [&hostname],
            "truncated": false,
        },
    });
    let body = body.to_string().into_bytes();
    debug_assert!(Envelope::decode(&body).is_ok());
    body
}

/// A unique name of a run; the ids of its messages begin with it.
pub(crate) fn run() -> String {
    uuid::Uuid::now_v7().simple().to_string()
}
