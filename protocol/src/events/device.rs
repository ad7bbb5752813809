use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize};

use crate::bounds::{self, MAX_INTERFACES};
use crate::{DeviceState, DeviceType, Hostname, InterfaceName, Mac, Serial};

/// A device came up by zero-touch provisioning. It becomes MANAGED and unsynchronized; links to known neighbours that
/// are not there yet are made, and both their ends are flagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceProvisioned {
    /// The name the device was given.
    pub hostname: Hostname,
    /// What the device is for.
    pub device_type: DeviceType,
    /// Its platform, such as `eos`.
    #[serde(deserialize_with = "crate::bounds::label")]
    #[cfg_attr(feature = "schema", schemars(with = "crate::schema::Label"))]
    pub platform: String,
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
    /// The devices it saw, by LLDP; at most 4,096.
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
    /// The interface of the new device.
    pub interface: InterfaceName,
    /// The device on the other side.
    pub neighbor_hostname: Hostname,
    /// Its interface.
    pub neighbor_interface: InterfaceName,
}

/// A device moved to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceStateChanged {
    /// The device.
    pub hostname: Hostname,
    /// The state it is in now.
    pub state: DeviceState,
}

/// The `post_flight` step of an upgrade was performed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceUpgraded {
    /// The device.
    pub hostname: Hostname,
    /// The version it runs now.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub os_version: Option<String>,
}

/// A device is gone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRemoved {
    /// The device.
    pub hostname: Hostname,
}

/// A device has another hostname.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRenamed {
    /// The name it had.
    pub hostname: Hostname,
    /// The name it has.
    pub new_hostname: Hostname,
}
