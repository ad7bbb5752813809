use serde::{Deserialize, Serialize};

use crate::{DeviceType, GroupName, Hostname};

/// Synchronize devices with their intended configuration (`syncto` in CNaaS NMS).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRequested {
    /// Which devices.
    pub targets: SyncTargets,
    /// Include devices that are already synchronized.
    #[serde(default)]
    pub resync: bool,
    /// Report what would change without changing devices; `true` if absent.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// Overwrite changes that were made outside of Lockstep.
    #[serde(default)]
    pub force: bool,
}

/// Selects the devices to synchronize.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncTargets {
    /// Every managed device.
    All,
    /// One device, synchronized or not.
    Hostname(Hostname),
    /// The devices of one type.
    DeviceType(DeviceType),
    /// The members of one group.
    Group(GroupName),
}

/// The default of `dry_run` and `enabled`. Dry runs are the default so that no device changes by omission.
pub(crate) fn yes() -> bool {
    true
}
