use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeviceState, DeviceType, GroupName, Hostname, Mac, Serial};

/// A device in `GET /v1/devices` and `GET /v1/devices/{hostname}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceView {
    /// The device's number, which never changes.
    pub id: i64,
    /// The hostname.
    pub hostname: Hostname,
    /// The device's role in the network.
    pub device_type: DeviceType,
    /// The platform, such as `eos`.
    pub platform: Option<String>,
    /// The lifecycle state.
    pub state: DeviceState,
    /// The operator's note about the state.
    pub note: Option<String>,
    /// When the state should end, as an operator noted.
    pub until: Option<Timestamp>,
    /// Whether the device has the newest intended configuration, as far as Lockstep knows.
    pub synchronized: bool,
    /// Since when the device is unsynchronized; absent if it is synchronized.
    pub unsynchronized_since: Option<Timestamp>,
    /// The generation of the newest intended configuration; each change that concerns the device increments it.
    pub desired_generation: i64,
    /// The generation that the device is known to have.
    pub synced_generation: i64,
    /// The management address.
    pub management_ip: Option<IpAddr>,
    /// The system MAC address.
    pub mac: Option<Mac>,
    /// The serial number.
    pub serial: Option<Serial>,
    /// The manufacturer.
    pub vendor: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// The operating system version.
    pub os_version: Option<String>,
    /// The groups that the device is a member of.
    pub groups: Vec<GroupName>,
    /// Why the device is unsynchronized: the newest 32 causes, oldest first.
    pub causes: Vec<CauseView>,
}

/// One reason why a device became unsynchronized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CauseView {
    /// The cause in the terms of CNaaS NMS, such as `interface_updated`. A string, since a newer worker may have stored a
    /// cause that this version does not know.
    pub cause: String,
    /// The type of the message.
    pub event: String,
    /// The source of the message.
    pub source: String,
    /// The id of the message.
    pub id: String,
    /// When the message was applied.
    pub at: Timestamp,
    /// The authenticated sender of the message.
    pub by: Option<String>,
}

/// One page of devices, ordered by hostname.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePage {
    /// The devices of this page.
    pub devices: Vec<DeviceView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hostname>,
}
