use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Hostname, InterfaceAddress, Mac};

/// A management domain was added, updated or removed: the two devices that serve it need new configuration.
///
/// With an `id`, the message says the whole content of the domain, which is kept for rendering; an absent field is then one that the
/// domain does not have. Without an `id`, the message only flags, and the fields of the content are ignored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MgmtdomainChanged {
    /// What happened to the management domain.
    pub action: MgmtdomainAction,
    /// The hostname of one of the two devices.
    pub device_a: Hostname,
    /// The hostname of the other device.
    pub device_b: Hostname,
    /// The devices before an update that changed them; they are flagged, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<MgmtdomainDevices>,
    /// The number that its owner gave to it, such as that of CNaaS NMS.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_number"
    )]
    #[cfg_attr(feature = "schema", schemars(range(max = crate::bounds::MAX_NUMBER)))]
    pub id: Option<u64>,
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

/// The two devices of a management domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MgmtdomainDevices {
    /// The hostname of one of the two devices.
    pub device_a: Hostname,
    /// The hostname of the other device.
    pub device_b: Hostname,
}

/// What happened to a management domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MgmtdomainAction {
    /// The management domain is new.
    Added,
    /// The management domain was modified.
    Updated,
    /// The management domain was removed.
    Removed,
}
