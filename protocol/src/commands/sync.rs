use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::RunLimits;
use crate::{CommitId, DeviceType, GroupName, Hostname};

/// Synchronize devices with their intended configuration (`syncto` in CNaaS NMS), or do another thing with their configurations.
///
/// Exactly one of `targets`, `plan` and `rollback` says which devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRequested {
    /// Which devices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<SyncTargets>,
    /// Apply what this execution, a dry run, showed: its devices with their generations, commits and differences. A device that has
    /// changed since is left alone. Not with `resync` and `force`, which are those of the dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Id>"))]
    pub plan: Option<Uuid>,
    /// Plan the way back of this execution: to the configurations that its devices had before. Only as a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Id>"))]
    pub rollback: Option<Uuid>,
    /// What to do; `synchronize` if absent.
    #[serde(default, skip_serializing_if = "is_default")]
    pub action: SyncAction,
    /// Include devices that are already synchronized.
    #[serde(default)]
    pub resync: bool,
    /// Report what would change without changing devices; `true` if absent.
    #[serde(default = "yes")]
    pub dry_run: bool,
    /// Overwrite changes that were made outside of Lockstep.
    #[serde(default)]
    pub force: bool,
    /// For `render`: a commit of the settings or of the templates to render from, instead of the accepted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// For `abort-session`: the name of the session.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_label"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Label>"))]
    pub session: Option<String>,
    /// The limits of this run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: RunLimits,
    /// Why, for people: such as the number of a change ticket.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::bounds::optional_note"
    )]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::schema::Note>"))]
    pub note: Option<String>,
}

/// What is done with the configuration of each device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum SyncAction {
    /// Render it, show the difference, and push it unless it is a dry run.
    #[default]
    Synchronize,
    /// Render it, without contacting the device.
    Render,
    /// Compare the running configuration with the one that was there when the device was last synchronized.
    Drift,
    /// Accept the running configuration as the one that changes are measured against.
    AcceptDrift,
    /// List the configuration sessions that are pending on the device.
    ListSessions,
    /// Abort a configuration session.
    AbortSession,
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

/// What is not said is left out, as in messages from before these fields.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The default of `dry_run` and `enabled`. Dry runs are the default so that no device changes by omission.
pub(crate) fn yes() -> bool {
    true
}
