use lockstep_protocol::events::{
    DeviceRemoved, DeviceRenamed, DeviceStateChanged, InterfaceUpdated, InventoryImported, LinknetChanged,
};
use lockstep_protocol::{Hostname, Message};

use super::change::{Model, ObjectChange};
use super::rules::MappingRules;
use super::{address, cable, device, interface};

/// What a change means to Lockstep.
#[derive(Clone, Debug, PartialEq)]
pub enum Mapped {
    /// These events, in order; at least one.
    Events(Vec<Event>),
    /// Nothing, for this reason.
    Ignored(String),
}

/// An event that a change leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A device is new, or its attributes changed.
    Imported(Box<InventoryImported>),
    /// A device has another name.
    Renamed(DeviceRenamed),
    /// A device is gone.
    Removed(DeviceRemoved),
    /// A device has another state.
    StateChanged(DeviceStateChanged),
    /// The configuration of an interface changed.
    InterfaceUpdated(InterfaceUpdated),
    /// A link appeared or disappeared.
    LinknetChanged(Box<LinknetChanged>),
}

impl Event {
    /// The device that the event is about; `None` if it is about several.
    pub(crate) fn hostname(&self) -> Option<&Hostname> {
        match self {
            Self::Imported(event) => event.devices.first().map(|device| &device.hostname),
            Self::Renamed(event) => Some(&event.hostname),
            Self::Removed(event) => Some(&event.hostname),
            Self::StateChanged(event) => Some(&event.hostname),
            Self::InterfaceUpdated(event) => Some(&event.hostname),
            Self::LinknetChanged(_) => None,
        }
    }
}

impl From<Event> for Message {
    fn from(event: Event) -> Self {
        match event {
            Event::Imported(event) => (*event).into(),
            Event::Renamed(event) => event.into(),
            Event::Removed(event) => event.into(),
            Event::StateChanged(event) => event.into(),
            Event::InterfaceUpdated(event) => event.into(),
            Event::LinknetChanged(event) => (*event).into(),
        }
    }
}

/// Maps a change to events.
pub fn map(change: &ObjectChange, rules: &MappingRules) -> Mapped {
    let mapped = match &change.model {
        Model::Device => device::events(change, rules),
        Model::Interface => interface::events(change, rules),
        Model::Cable => cable::events(change),
        Model::IpAddress => address::events(change),
        Model::Other(name) => Err(format!(
            "objects of the type {name} are not part of the inventory of Lockstep"
        )),
    };
    match mapped {
        Ok(events) => Mapped::Events(events),
        Err(reason) => Mapped::Ignored(reason),
    }
}

/// The name of a device as a hostname, or why it cannot be one.
pub(crate) fn hostname(name: Option<&str>, object_id: &str) -> Result<Hostname, String> {
    let name = name.ok_or_else(|| format!("the device {object_id} has no name"))?;
    name.parse()
        .map_err(|error| format!("{error}; rename the device"))
}
