use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{DeviceState, Hostname};

/// Move a device to another state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceStateRequested {
    /// The device.
    pub hostname: Hostname,
    /// The state it should be in.
    pub state: DeviceState,
    /// Why, for whoever looks at the device next.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
    /// Until when; a reminder, nothing happens by itself.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_time"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Time>"))]
    pub until: Option<Timestamp>,
}

/// Mark a device as unsynchronized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceMarkRequested {
    /// The device.
    pub hostname: Hostname,
    /// Why.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
}

/// Remove a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRemoveRequested {
    /// The device.
    pub hostname: Hostname,
}

/// Give a device another hostname.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DeviceRenameRequested {
    /// The name it has.
    pub hostname: Hostname,
    /// The name it should have.
    pub new_hostname: Hostname,
}
