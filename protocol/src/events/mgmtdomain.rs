use serde::{Deserialize, Serialize};

use crate::Hostname;

/// A management domain was added, updated or removed: the two devices that serve it need new configuration.
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
