use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeviceState, DeviceType, GroupName, Hostname, Mac, Serial};

/// A device as `GET /v1/devices` and `GET /v1/devices/{hostname}` show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceView {
    /// Its stable number.
    pub id: i64,
    /// Its name.
    pub hostname: Hostname,
    /// What it is for.
    pub device_type: DeviceType,
    /// Its platform.
    pub platform: Option<String>,
    /// Where it is in its life.
    pub state: DeviceState,
    /// Why it is in that state, as somebody noted.
    pub note: Option<String>,
    /// Until when, as somebody noted.
    pub until: Option<Timestamp>,
    /// Whether Lockstep believes it has the newest intended configuration.
    pub synchronized: bool,
    /// Since when it does not.
    pub unsynchronized_since: Option<Timestamp>,
    /// How often it was asked for something newer.
    pub desired_generation: i64,
    /// Up to which of those it is known to have.
    pub synced_generation: i64,
    /// Where it is managed.
    pub management_ip: Option<IpAddr>,
    /// Its system MAC address.
    pub mac: Option<Mac>,
    /// Its serial number.
    pub serial: Option<Serial>,
    /// Who made it.
    pub vendor: Option<String>,
    /// Its model.
    pub model: Option<String>,
    /// The operating system version it runs.
    pub os_version: Option<String>,
    /// The groups it is a member of.
    pub groups: Vec<GroupName>,
    /// Why it is not synchronized, oldest first; at most the newest 32.
    pub causes: Vec<CauseView>,
}

/// One reason why a device stopped being synchronized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CauseView {
    /// Why, in the words of CNaaS NMS, such as `interface_updated`. Text, since a newer worker may know more of them.
    pub cause: String,
    /// The type of the message that caused it.
    pub event: String,
    /// The identity of that message.
    pub source: String,
    /// The identity of that message.
    pub id: String,
    /// When it was applied.
    pub at: Timestamp,
    /// Who sent it, as authenticated.
    pub by: Option<String>,
}

/// One page of devices, ordered by hostname.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePage {
    /// The devices.
    pub devices: Vec<DeviceView>,
    /// What to send as `after` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hostname>,
}
