use serde::{Deserialize, Serialize};

use crate::{DeviceType, GroupName, Hostname};

/// Bring devices in lockstep with their intended configuration (the `syncto` of `seeds/cnaas-nms-synchronization.txt`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRequested {
    /// Which devices.
    pub targets: SyncTargets,
    /// Contact the synchronized ones too.
    #[serde(default)]
    pub resync: bool,
    /// Only say what would change.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// Overwrite what was changed outside.
    #[serde(default)]
    pub force: bool,
}

/// Which devices a sync is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncTargets {
    /// All managed devices.
    All,
    /// One device, whatever its flag says.
    Hostname(Hostname),
    /// The devices of one type.
    DeviceType(DeviceType),
    /// The members of one group.
    Group(GroupName),
}

/// What is done to devices is a dry run unless somebody says otherwise.
pub(crate) fn yes() -> bool {
    true
}
