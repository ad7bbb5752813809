use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, Serial};

/// A chunk of an inventory. What it names is created or brought up to date; what it leaves out stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryImported {
    /// Devices, at most one entry a hostname.
    #[serde(default)]
    pub devices: Vec<ImportedDevice>,
    /// Groups with their rule or location.
    #[serde(default)]
    pub groups: Vec<ImportedGroup>,
    /// Interfaces, of devices of this chunk or of earlier ones.
    #[serde(default)]
    pub interfaces: Vec<ImportedInterface>,
    /// Clients behind interfaces or in groups.
    #[serde(default)]
    pub clients: Vec<ImportedClient>,
}

/// A device. Only the first two fields are required; what is absent is left as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedDevice {
    /// Its name.
    pub hostname: Hostname,
    /// What it is for.
    pub device_type: DeviceType,
    /// Its platform, such as `eos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Where it is in its life; a new device without one is MANAGED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// Whether it has the newest intended configuration; a new device without a word is not synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// Where it is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management_ip: Option<IpAddr>,
    /// Its system MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Who made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Its model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The operating system version it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// The groups it is a member of by list: all of them, in place of those of an earlier import.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<GroupName>>,
}

/// A group of devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedGroup {
    /// Its name.
    pub name: GroupName,
    /// Whether it is a location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<bool>,
}

/// An interface of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedInterface {
    /// The device.
    pub hostname: Hostname,
    /// The interface.
    pub name: InterfaceName,
    /// What it is configured as; any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
}

/// A client: a host behind an interface, in a group, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedClient {
    /// Its MAC address, by which it is known.
    pub mac: Mac,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// The device it is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// The interface of that device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
    /// The group (location) it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
}
