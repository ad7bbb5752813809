use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::bounds::{self, MAX_CHUNK_CLIENTS, MAX_CHUNK_DEVICES, MAX_CHUNK_GROUPS, MAX_CHUNK_INTERFACES};
use crate::{DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, Serial};

/// A chunk of an inventory. What it names is created or brought up to date; what it leaves out stays as it is. It names
/// nothing twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryImported {
    /// Devices, at most 1,000 and one entry a hostname.
    #[serde(default, deserialize_with = "devices")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_DEVICES)))]
    pub devices: Vec<ImportedDevice>,
    /// Groups with their rule or location, at most 1,000 and one entry a name.
    #[serde(default, deserialize_with = "groups")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_GROUPS)))]
    pub groups: Vec<ImportedGroup>,
    /// Interfaces of devices of this chunk or of earlier ones, at most 10,000 and one entry a hostname and name.
    #[serde(default, deserialize_with = "interfaces")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_INTERFACES)))]
    pub interfaces: Vec<ImportedInterface>,
    /// Clients behind interfaces or in groups, at most 10,000 and one entry a MAC address.
    #[serde(default, deserialize_with = "clients")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_CLIENTS)))]
    pub clients: Vec<ImportedClient>,
}

fn devices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImportedDevice>, D::Error> {
    bounds::unique(deserializer, MAX_CHUNK_DEVICES, |device: &ImportedDevice| {
        device.hostname.to_string()
    })
}

fn groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImportedGroup>, D::Error> {
    bounds::unique(deserializer, MAX_CHUNK_GROUPS, |group: &ImportedGroup| {
        group.name.to_string()
    })
}

fn interfaces<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImportedInterface>, D::Error> {
    bounds::unique(
        deserializer,
        MAX_CHUNK_INTERFACES,
        |interface: &ImportedInterface| format!("{} {}", interface.hostname, interface.name),
    )
}

fn clients<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImportedClient>, D::Error> {
    bounds::unique(deserializer, MAX_CHUNK_CLIENTS, |client: &ImportedClient| {
        client.mac.to_string()
    })
}

fn device_groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<GroupName>>, D::Error> {
    bounds::optional_list(deserializer, 0..=MAX_CHUNK_GROUPS)
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
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub platform: Option<String>,
    /// Where it is in its life; a new device without one is MANAGED.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// Whether it has the newest intended configuration; a new device without a word is not synchronized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// Where it is managed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
    pub management_ip: Option<IpAddr>,
    /// Its system MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// Its serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// Who made it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub vendor: Option<String>,
    /// Its model.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub model: Option<String>,
    /// The operating system version it runs.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub os_version: Option<String>,
    /// The groups it is a member of by list: all of them (at most 1,000), in place of
    /// those of an earlier import.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "device_groups"
    )]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_GROUPS)))]
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
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub name: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
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
