use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::cause_detail::is_zero;
use crate::{
    CauseCommit, CausePath, DeviceState, DeviceType, GroupName, Hostname, InterfaceName, Mac, Serial,
};

/// A device in the answers of `GET /v1/devices` and `GET /v1/devices/{hostname}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceView {
    /// A number that stays the same as long as the device exists.
    pub id: i64,
    /// Unique in the fleet.
    pub hostname: Hostname,
    /// The role of the device in the network.
    pub device_type: DeviceType,
    /// The platform that templates are chosen by, such as `eos`.
    pub platform: Option<String>,
    /// The lifecycle state, such as `MANAGED`.
    pub state: DeviceState,
    /// A note of the operator who set the state.
    pub note: Option<String>,
    /// The end of the state that the operator noted. Nothing happens at that time.
    pub until: Option<Timestamp>,
    /// Whether it has the newest intended configuration, as far as Lockstep knows.
    pub synchronized: bool,
    /// When it stopped being synchronized; null while it is.
    pub unsynchronized_since: Option<Timestamp>,
    /// The newest generation of its configuration; every cause raises it by one.
    pub desired_generation: i64,
    /// The newest generation that the device is known to have.
    pub synced_generation: i64,
    /// The address of its management interface.
    pub management_ip: Option<IpAddr>,
    /// The system MAC address, unique in the fleet.
    pub mac: Option<Mac>,
    /// The serial number, unique in the fleet.
    pub serial: Option<Serial>,
    /// The manufacturer.
    pub vendor: Option<String>,
    /// The model, as the manufacturer names it.
    pub model: Option<String>,
    /// The operating system version.
    pub os_version: Option<String>,
    /// The device that is connected to instead of it.
    #[serde(default)]
    pub controller: Option<Hostname>,
    /// The groups of the device, by list and by rule, ordered by name; `DEFAULT` only where the settings define it.
    pub groups: Vec<GroupName>,
    /// Its primary group by the accepted settings: folders below `groups/` concern it by this one. Null if it is not known.
    #[serde(default)]
    pub primary_group: Option<GroupName>,
    /// Why it is not synchronized: the newest 32 causes, oldest first.
    pub causes: Vec<CauseView>,
    /// Who last marked it as synchronized; null if nobody ever did.
    #[serde(default)]
    pub marked: Option<MarkView>,
}

/// An operator marked a device as synchronized, or imported an inventory that did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MarkView {
    /// When.
    pub at: Timestamp,
    /// The authenticated sender of the message.
    pub by: Option<String>,
    /// Why, in the operator's words.
    pub note: Option<String>,
}

/// One reason why a device became unsynchronized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CauseView {
    /// The reason, in the terms of CNaaS NMS, such as `interface_updated`. A text, since a newer worker may know more reasons.
    pub cause: String,
    /// The type of the message.
    pub event: String,
    /// The `source` of that message.
    pub source: String,
    /// The `id` of that message.
    pub id: String,
    /// When that message was applied.
    pub at: Timestamp,
    /// The authenticated sender of that message.
    pub by: Option<String>,
    /// The note of the operator who sent it.
    #[serde(default)]
    pub note: Option<String>,
    /// The commit that was accepted. This and the fields below are absent if empty, and in lists of devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CauseCommit>,
    /// The changed paths that concern the device.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<CausePath>,
    /// How many changed paths concern devices and were not kept; some of them may concern this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_paths: u64,
    /// The interfaces that changed, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub interfaces: Vec<InterfaceName>,
    /// How many more interfaces changed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_interfaces: u64,
}

/// The answer of `GET /v1/devices`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DevicePage {
    /// One page of devices, ordered by hostname.
    pub devices: Vec<DeviceView>,
    /// The value of `after` for the next page; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Hostname>,
    /// How many devices match, on all pages; only if the request has `total=true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The answer of `GET /v1/devices/{hostname}/surroundings`: what belongs to a device, and where its links lead.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SurroundingsView {
    /// Its hostname.
    pub hostname: Hostname,
    /// How many interfaces it has.
    pub interfaces: u64,
    /// How many clients are behind its interfaces.
    pub clients: u64,
    /// How many links end at it.
    pub links: u64,
    /// The devices at the other ends of its links.
    pub neighbors: HostnameList,
    /// The devices that are connected to through it.
    pub controlled: HostnameList,
    /// The first 1,000 of its links, ordered by its interfaces.
    #[serde(default)]
    pub linked: Vec<LinkedInterfaceView>,
    /// The first 1,000 of the management domains that it serves, ordered by id.
    #[serde(default)]
    pub management_domains: Vec<ManagementDomainView>,
    /// What the inventory says about it beside its attributes; templates read it.
    #[serde(default)]
    pub data: Map<String, Value>,
}

/// An interface of a device with a link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinkedInterfaceView {
    /// The interface.
    pub interface: InterfaceName,
    /// Its address on the link, with the length of the prefix; null if it is not known.
    pub address: Option<String>,
    /// The device at the other end.
    pub neighbor: Hostname,
    /// Its interface.
    pub neighbor_interface: InterfaceName,
    /// Its address on the link.
    pub neighbor_address: Option<String>,
}

/// A management domain, with the names that the API of CNaaS NMS has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ManagementDomainView {
    /// The number that its owner gave to it.
    pub id: u64,
    /// One of the two devices that serve it.
    pub device_a: Hostname,
    /// The other one.
    pub device_b: Hostname,
    /// The address of `device_a` in it.
    pub device_a_ip: Option<IpAddr>,
    /// The address of `device_b` in it.
    pub device_b_ip: Option<IpAddr>,
    /// The IPv4 gateway, with the length of the prefix.
    pub ipv4_gw: Option<String>,
    /// The IPv6 gateway, with the length of the prefix.
    pub ipv6_gw: Option<String>,
    /// Its VLAN.
    pub vlan: Option<u16>,
    /// What it is for.
    pub description: Option<String>,
    /// The virtual MAC address of its Ethernet segment.
    pub esi_mac: Option<String>,
}

/// Hostnames, ordered by bytes and each once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HostnameList {
    /// How many there are.
    pub count: u64,
    /// The first 1,000.
    pub first: Vec<Hostname>,
}
