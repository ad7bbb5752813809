use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeviceState, Hostname};

/// Move a device to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceStateRequested {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The state to set.
    pub state: DeviceState,
    /// The reason, shown with the device.
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
}

/// Mark a device as synchronized or unsynchronized, whatever its state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceMarkRequested {
    /// The device's hostname.
    pub hostname: Hostname,
    /// Whether to mark it as synchronized, which closes its causes, or as unsynchronized, which adds one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub synchronized: bool,
    /// The `desired_generation` of the device that the sender looked at; required to mark it as synchronized. If the device got
    /// newer causes since then, the command is rejected as `generation-changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// The reason, shown with the device.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
}

/// Remove a device from the inventory. Its neighbours by links are flagged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRemoveRequested {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The reason, shown with the causes of the devices that are flagged.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
}

/// Give a device another hostname. The same devices are flagged as by `lockstep.device.renamed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRenameRequested {
    /// The current hostname.
    pub hostname: Hostname,
    /// The hostname to set.
    pub new_hostname: Hostname,
    /// The reason, shown with the causes of the devices that are flagged.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
}
