use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use lockstep_protocol::{
    DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, MessageId, Serial,
};
use serde_json::{Map, Value};

use super::{GroupsByRule, LinkEnd};

/// The attributes of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Its type, such as access or core.
    pub device_type: DeviceType,
    /// Its platform, such as `eos`.
    pub platform: Option<String>,
    /// The address by which it is managed.
    pub management_ip: Option<IpAddr>,
    /// Its system MAC address; no two devices share one.
    pub mac: Option<Mac>,
    /// Its serial number; no two devices share one.
    pub serial: Option<Serial>,
    /// Its manufacturer.
    pub vendor: Option<String>,
    /// Its model, as the manufacturer names it.
    pub model: Option<String>,
    /// The operating system version it runs.
    pub os_version: Option<String>,
    /// The device that is connected to instead of it.
    pub controller: Option<Hostname>,
}

impl Attributes {
    /// The attributes of a device of which only the type is known.
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
            controller: None,
        }
    }
}

/// Identifies the last applied message about a device's state. A message with a smaller version never overwrites the state.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The time in its envelope.
    pub time: Timestamp,
    /// The id of the message, which decides between equal times.
    pub id: MessageId,
}

/// The state of a device in its lifecycle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lifecycle {
    /// The state in the lifecycle.
    pub state: DeviceState,
    /// Why it is in this state, for people.
    pub note: Option<String>,
    /// When the state is expected to end.
    pub until: Option<Timestamp>,
    /// The version of the message that set the state. `None` if no message with a version did.
    pub version: Option<Version>,
    /// Since when it is in this state. `None` if that was before schema version 8.
    pub since: Option<Timestamp>,
}

/// Whether a device has its intended configuration. Each cause raises `desired`; a sync raises `synced` to the generation that
/// it rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The generation of the newest intended configuration.
    pub desired: i64,
    /// The newest generation that the device has; never above `desired`.
    pub synced: i64,
    /// Since when the device is unsynchronized.
    pub since: Option<Timestamp>,
}

impl SyncState {
    /// The state of a new device: synchronized.
    pub const SYNCHRONIZED: Self = Self {
        desired: 1,
        synced: 1,
        since: None,
    };

    /// Whether the device has the newest intended configuration, as far as Lockstep knows.
    pub fn synchronized(&self) -> bool {
        self.synced == self.desired
    }
}

/// Who last marked a device as synchronized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Timestamp,
    /// The authenticated sender of the message.
    pub by: Option<String>,
    /// Why, in the sender's words.
    pub note: Option<String>,
}

/// A device in a transaction: the stored row with the changes of the batch so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// Its stable number. `None` if the batch creates the device.
    pub id: Option<i64>,
    /// Its hostname, which is unique.
    pub hostname: Hostname,
    /// Its type, platform and addresses.
    pub attributes: Attributes,
    /// Its state in the lifecycle.
    pub lifecycle: Lifecycle,
    /// Its sync flag.
    pub sync: SyncState,
    /// Who last marked it as synchronized.
    pub marked: Option<Mark>,
    /// The groups of which it is a member by list. `None` if this batch does not set them.
    pub groups: Option<BTreeSet<GroupName>>,
    /// What the rules of groups make of it. `None` if this batch does not set it.
    pub by_rule: Option<GroupsByRule>,
    /// What the inventory says about it beside its attributes. `None` if there is nothing, or if `Keys::data_of` did not ask for it.
    pub data: Option<DeviceData>,
    /// Causes of this batch, as indices into the batch's causes, in order.
    pub causes: Vec<usize>,
    /// Whether the causes before this batch are closed.
    pub forgets_causes: bool,
    /// Whether `attributes`, `lifecycle` or `marked` are to be written.
    pub described: bool,
    /// Whether `sync` is to be written.
    pub flagged: bool,
}

/// What the inventory says about a device beside its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceData {
    /// All of it.
    pub object: Map<String, Value>,
    /// Whether it is to be written.
    pub is_new: bool,
}

/// A group of devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRow {
    /// The name of the group.
    pub name: GroupName,
    /// Whether it is a location. `None` leaves this unchanged.
    pub location: Option<bool>,
}

/// An interface of a device.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceRow {
    /// The hostname of the device.
    pub hostname: Hostname,
    /// The name of the interface.
    pub name: InterfaceName,
    /// Its configuration. `None` leaves it unchanged.
    pub configuration: Option<Value>,
}

/// A client behind an interface, in a group, or both. Absent fields stay unchanged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRow {
    /// Its MAC address, which identifies it.
    pub mac: Mac,
    /// Its name, for people.
    pub name: Option<String>,
    /// Its IP address.
    pub ip: Option<IpAddr>,
    /// The interface it is behind.
    pub interface: Option<LinkEnd>,
    /// The group it belongs to.
    pub group: Option<GroupName>,
}
