use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{self, MAX_INTERFACES};
use crate::{DeviceState, DeviceType, Hostname, InterfaceName, Mac, Serial};

/// A device came up by zero-touch provisioning. It becomes MANAGED and unsynchronized. Missing links to known neighbours
/// are created, and the devices at both ends are flagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceProvisioned {
    /// The hostname that was assigned to the device.
    pub hostname: Hostname,
    /// The device's role in the network.
    pub device_type: DeviceType,
    /// The device's platform, such as `eos`.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub platform: String,
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
    /// The neighbours that the device sees by LLDP; at most 4,096.
    #[serde(default, deserialize_with = "neighbors")]
    #[cfg_attr(feature = "schema", schemars(length(max = crate::bounds::MAX_INTERFACES)))]
    pub neighbors: Vec<ProvisionedNeighbor>,
}

fn neighbors<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ProvisionedNeighbor>, D::Error> {
    bounds::list(deserializer, 0..=MAX_INTERFACES)
}

/// One neighbour of a provisioned device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProvisionedNeighbor {
    /// The new device's interface.
    pub interface: InterfaceName,
    /// The neighbour's hostname.
    pub neighbor_hostname: Hostname,
    /// The neighbour's interface.
    pub neighbor_interface: InterfaceName,
}

/// A device moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceStateChanged {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The new state.
    pub state: DeviceState,
}

/// The `post_flight` step of an upgrade was performed: the device is flagged, also if its version is the same as before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceUpgraded {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The operating system version after the upgrade.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub os_version: Option<String>,
}

/// A device was removed from the network. Its neighbours by links are flagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRemoved {
    /// The device's hostname.
    pub hostname: Hostname,
}

/// A device's hostname changed. The device, its neighbours by links, and the devices whose interface configuration names it as
/// `neighbor` are flagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRenamed {
    /// The previous hostname.
    pub hostname: Hostname,
    /// The new hostname.
    pub new_hostname: Hostname,
}
