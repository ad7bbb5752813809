use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use lockstep_protocol::{
    DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, MessageId, Serial,
};
use serde_json::Value;

/// What a device is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// What it is for.
    pub device_type: DeviceType,
    /// Its platform.
    pub platform: Option<String>,
    /// Where it is managed.
    pub management_ip: Option<IpAddr>,
    /// Its system MAC address; no two devices share one.
    pub mac: Option<Mac>,
    /// Its serial number; no two devices share one.
    pub serial: Option<Serial>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The operating system version it runs.
    pub os_version: Option<String>,
}

impl Attributes {
    /// A device of this type of which nothing else is known.
    pub fn of(device_type: DeviceType) -> Self {
        Self {
            device_type,
            platform: None,
            management_ip: None,
            mac: None,
            serial: None,
            vendor: None,
            model: None,
            os_version: None,
        }
    }
}

/// The last message about a device's state that was applied: an older one never writes over it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Its time.
    pub time: Timestamp,
    /// Its id, which decides between equal times.
    pub id: MessageId,
}

/// Where a device is in its life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The state.
    pub state: DeviceState,
    /// Why, as somebody noted.
    pub note: Option<String>,
    /// Until when, as somebody noted.
    pub until: Option<Timestamp>,
    /// The message that said so; `None` if none with a time of its own did.
    pub version: Option<Version>,
}

/// Whether a device has what it should have. Every cause raises `desired`; a sync raises `synced` up to what it rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The newest generation asked for.
    pub desired: i64,
    /// The newest generation the device is known to have; never above `desired`.
    pub synced: i64,
    /// Since when it is not synchronized.
    pub since: Option<Timestamp>,
}

impl SyncState {
    /// A device that has all it should have.
    pub const SYNCHRONIZED: Self = Self {
        desired: 1,
        synced: 1,
        since: None,
    };

    /// Whether Lockstep believes the device has the newest intended configuration.
    pub fn synchronized(&self) -> bool {
        self.synced == self.desired
    }
}

/// A device, as the transaction sees it: what the store holds, with what the batch did so far worked in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its stable number; `None` until the store gives it one.
    pub id: Option<i64>,
    /// Its name.
    pub hostname: Hostname,
    /// What it is.
    pub attributes: Attributes,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Whether it has what it should have.
    pub sync: SyncState,
    /// The groups it is a member of by list, where this batch sets them.
    pub groups: Option<BTreeSet<GroupName>>,
    /// Causes of this batch, as indices into the batch's causes, in order.
    pub causes: Vec<usize>,
    /// Whether the causes before this batch are closed.
    pub forgets_causes: bool,
    /// Whether `attributes` or `lifecycle` are to be written.
    pub described: bool,
    /// Whether `sync` is to be written.
    pub flagged: bool,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkEnd {
    /// The device.
    pub hostname: Hostname,
    /// Its interface.
    pub interface: InterfaceName,
}

/// A link between two devices: the smaller end first, so that a link and its mirror image are the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link {
    a: LinkEnd,
    b: LinkEnd,
}

impl Link {
    /// The link between two ends, in either order.
    pub fn between(one: LinkEnd, other: LinkEnd) -> Self {
        if one <= other {
            Self { a: one, b: other }
        } else {
            Self { a: other, b: one }
        }
    }

    /// The smaller end.
    pub fn a(&self) -> &LinkEnd {
        &self.a
    }

    /// The larger end.
    pub fn b(&self) -> &LinkEnd {
        &self.b
    }
}

/// A group of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// Its name.
    pub name: GroupName,
    /// Whether it is a location; `None` leaves that as it is.
    pub location: Option<bool>,
}

/// An interface of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceRow {
    /// The device.
    pub hostname: Hostname,
    /// The interface.
    pub name: InterfaceName,
    /// What it is configured as; `None` leaves that as it is.
    pub configuration: Option<Value>,
}

/// A client behind an interface, in a group, or both; absent fields are left as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Its MAC address, by which it is known.
    pub mac: Mac,
    /// Its name.
    pub name: Option<String>,
    /// Its address.
    pub ip: Option<IpAddr>,
    /// The interface it is behind.
    pub interface: Option<LinkEnd>,
    /// The group it belongs to.
    pub group: Option<GroupName>,
}
