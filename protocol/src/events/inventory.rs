use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::LinknetEnd;
use crate::bounds::{
    self, MAX_CHUNK_CLIENTS, MAX_CHUNK_DEVICES, MAX_CHUNK_DOMAINS, MAX_CHUNK_GROUPS, MAX_CHUNK_INTERFACES,
    MAX_CHUNK_LINKS,
};
use crate::{DeviceState, DeviceType, GroupName, Hostname, InterfaceAddress, InterfaceName, Mac, Serial};

/// A chunk of an inventory. Objects it names are created or updated; others stay unchanged. A chunk must not name an object
/// twice.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct InventoryImported {
    /// Devices; at most 1,000, one entry per hostname.
    #[serde(default, deserialize_with = "devices")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_DEVICES)))]
    pub devices: Vec<ImportedDevice>,
    /// Groups; at most 1,000, one entry per name.
    #[serde(default, deserialize_with = "groups")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_GROUPS)))]
    pub groups: Vec<ImportedGroup>,
    /// Interfaces of devices in this chunk or an earlier one; at most 10,000, one entry per hostname and name.
    #[serde(default, deserialize_with = "interfaces")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_INTERFACES)))]
    pub interfaces: Vec<ImportedInterface>,
    /// Clients behind interfaces or in groups; at most 10,000, one entry per MAC address.
    #[serde(default, deserialize_with = "clients")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_CLIENTS)))]
    pub clients: Vec<ImportedClient>,
    /// Links between devices of this chunk or an earlier one; at most 1,000, one entry per pair of interfaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "links")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_LINKS)))]
    pub links: Vec<ImportedLink>,
    /// Management domains of devices of this chunk or an earlier one; at most 1,000, one entry per id.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "management_domains"
    )]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_DOMAINS)))]
    pub management_domains: Vec<ImportedManagementDomain>,
    /// Whether devices that exist and that the inventory lists as synchronized are marked so, which closes their causes. Otherwise the
    /// sync flags of devices that exist stay as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mark_synchronized: bool,
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

fn links<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ImportedLink>, D::Error> {
    bounds::unique(deserializer, MAX_CHUNK_LINKS, |link: &ImportedLink| {
        let mut ends = [&link.a, &link.b].map(|end| format!("{} {}", end.hostname, end.interface));
        ends.sort_unstable();
        ends.join(" – ")
    })
}

fn management_domains<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<ImportedManagementDomain>, D::Error> {
    bounds::unique(
        deserializer,
        MAX_CHUNK_DOMAINS,
        |domain: &ImportedManagementDomain| domain.id.to_string(),
    )
}

fn device_groups<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<GroupName>>, D::Error> {
    bounds::optional_list(deserializer, 0..=MAX_CHUNK_GROUPS)
}

/// A device. Only `hostname` and `device_type` are required; absent fields keep their stored values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedDevice {
    /// Its name.
    pub hostname: Hostname,
    /// The device's role in the network.
    pub device_type: DeviceType,
    /// The device's platform, such as `eos`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub platform: Option<String>,
    /// The lifecycle state; MANAGED if absent for a new device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<DeviceState>,
    /// The lifecycle state of a new device, for senders that do not know whether it is one. A device that exists keeps its state. `state`
    /// takes precedence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_state: Option<DeviceState>,
    /// The reason for the state.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
    /// When the state should end; only shown with the device, Lockstep does not act on it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_time"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Time>"))]
    pub until: Option<Timestamp>,
    /// Whether the device has the newest intended configuration; `false` if absent for a new device. Devices that exist keep their sync
    /// flag, unless `mark_synchronized` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub synchronized: Option<bool>,
    /// The hostname of the controller that is connected to instead of the device: a device of this chunk or an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<Hostname>,
    /// The management address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
    pub management_ip: Option<IpAddr>,
    /// The system MAC address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<Mac>,
    /// The serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<Serial>,
    /// The manufacturer.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub vendor: Option<String>,
    /// The model.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub model: Option<String>,
    /// The operating system version.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub os_version: Option<String>,
    /// The names of the groups that list the device as a member, at most 1,000. Replaces the list of an earlier import.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "device_groups"
    )]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_CHUNK_GROUPS)))]
    pub groups: Option<Vec<GroupName>>,
    /// What else templates may need, such as `infra_ip`, `secondary_management_ip` and `stack_members`: a JSON object of at most 65,536
    /// bytes. Replaces that of an earlier import.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_object"
    )]
    pub data: Option<Map<String, Value>>,
}

/// A link between two interfaces.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedLink {
    /// One end.
    pub a: LinknetEnd,
    /// The other end.
    pub b: LinknetEnd,
}

/// A management domain with its whole content: an absent field is one that the domain does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedManagementDomain {
    /// The number that its owner gave to it, such as that of CNaaS NMS.
    #[serde(deserialize_with = "crate::bounds::number")]
    #[cfg_attr(feature = "schema", schemars(range(max = crate::bounds::MAX_NUMBER)))]
    pub id: u64,
    /// The hostname of one of the two devices that serve it.
    pub device_a: Hostname,
    /// The hostname of the other device.
    pub device_b: Hostname,
    /// The IPv4 gateway, with the length of the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv4_gw: Option<InterfaceAddress>,
    /// The IPv6 gateway, with the length of the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_gw: Option<InterfaceAddress>,
    /// The VLAN, 1 to 4,094.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_vlan"
    )]
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 4094)))]
    pub vlan: Option<u16>,
    /// What it is for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub description: Option<String>,
    /// The virtual MAC address of its Ethernet segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub esi_mac: Option<Mac>,
    /// The address of `device_a` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
    pub device_a_ip: Option<IpAddr>,
    /// The address of `device_b` in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
    pub device_b_ip: Option<IpAddr>,
}

/// A group of devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedGroup {
    /// Its name.
    pub name: GroupName,
    /// Whether the group is a location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<bool>,
}

/// An interface of a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedInterface {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The interface's name as the device spells it.
    pub name: InterfaceName,
    /// The configuration, any JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub configuration: Option<Value>,
}

/// A client: a host behind an interface, in a group, or both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ImportedClient {
    /// The MAC address, which identifies the client.
    pub mac: Mac,
    /// Its name.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub name: Option<String>,
    /// The IP address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::IpAddress>"))]
    pub ip: Option<IpAddr>,
    /// The hostname of the device the client is connected to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// The interface on that device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<InterfaceName>,
    /// The group (usually a location) the client belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
}
