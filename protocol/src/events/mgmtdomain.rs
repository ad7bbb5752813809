use serde::{Deserialize, Serialize};

use crate::Hostname;

/// A management domain was added, updated or removed: the two devices that serve it need new configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MgmtdomainChanged {
    /// What happened to it.
    pub action: MgmtdomainAction,
    /// One of its devices.
    pub device_a: Hostname,
    /// The other one.
    pub device_b: Hostname,
}

/// What happened to a management domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MgmtdomainAction {
    /// It is new.
    Added,
    /// It changed.
    Updated,
    /// It is gone.
    Removed,
}
