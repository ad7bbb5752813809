//! Why a device became unsynchronized, in the terms of CNaaS NMS (see `docs/reference/sync-rules.md`).

use serde::{Deserialize, Serialize};

/// Why a device was flagged as unsynchronized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The configuration of one or more of its interfaces changed.
    InterfaceUpdated,
    /// The device came up by zero-touch provisioning.
    DeviceInit,
    /// A link to another device was created.
    LinknetCreated,
    /// A link to another device was updated.
    LinknetUpdated,
    /// A link to another device was removed.
    LinknetDeleted,
    /// A management domain that the device serves was added.
    MgmtdomainCreated,
    /// A management domain that the device serves or served was updated.
    MgmtdomainUpdated,
    /// A management domain that the device served was removed.
    MgmtdomainDeleted,
    /// A device with a link to it was removed.
    NeighborDeleted,
    /// The `post_flight` step of an upgrade was performed on the device.
    FirmwareUpgrade,
    /// The device was renamed.
    DeviceNameChange,
    /// A device with a link to it was renamed.
    LinknetNeighborNameChange,
    /// A device that the configuration of one of its interfaces names as neighbour was renamed.
    NeighborNameChange,
    /// The device was moved to UNMANAGED.
    WasUnmanaged,
    /// An imported inventory lists the device as unsynchronized.
    InventoryImported,
    /// An operator marked the device as unsynchronized.
    MarkedUnsynchronized,
    /// A commit in the settings repository changed files that affect the device.
    RefreshSettings,
    /// A commit in the templates repository changed a template that the device's configuration is rendered from.
    RefreshTemplates,
    /// Its running configuration changed outside of Lockstep.
    Confighash,
    /// A dry run found that it does not have its intended configuration.
    SynctoDryrun,
    /// What was pushed was rolled back after it was confirmed.
    CommitConfirmFailed,
    /// An earlier configuration was restored.
    ApplyConfig,
}

impl Cause {
    /// Every cause.
    pub const ALL: &[Self] = &[
        Self::InterfaceUpdated,
        Self::DeviceInit,
        Self::LinknetCreated,
        Self::LinknetUpdated,
        Self::LinknetDeleted,
        Self::MgmtdomainCreated,
        Self::MgmtdomainUpdated,
        Self::MgmtdomainDeleted,
        Self::NeighborDeleted,
        Self::FirmwareUpgrade,
        Self::DeviceNameChange,
        Self::LinknetNeighborNameChange,
        Self::NeighborNameChange,
        Self::WasUnmanaged,
        Self::InventoryImported,
        Self::MarkedUnsynchronized,
        Self::RefreshSettings,
        Self::RefreshTemplates,
        Self::Confighash,
        Self::SynctoDryrun,
        Self::CommitConfirmFailed,
        Self::ApplyConfig,
    ];

    /// The cause as it is written on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InterfaceUpdated => "interface_updated",
            Self::DeviceInit => "device_init",
            Self::LinknetCreated => "linknet_created",
            Self::LinknetUpdated => "linknet_updated",
            Self::LinknetDeleted => "linknet_deleted",
            Self::MgmtdomainCreated => "mgmtdomain_created",
            Self::MgmtdomainUpdated => "mgmtdomain_updated",
            Self::MgmtdomainDeleted => "mgmtdomain_deleted",
            Self::NeighborDeleted => "neighbor_deleted",
            Self::FirmwareUpgrade => "firmware_upgrade",
            Self::DeviceNameChange => "device_name_change",
            Self::LinknetNeighborNameChange => "linknet_neighbor_name_change",
            Self::NeighborNameChange => "neighbor_name_change",
            Self::WasUnmanaged => "was_unmanaged",
            Self::InventoryImported => "inventory_imported",
            Self::MarkedUnsynchronized => "marked_unsynchronized",
            Self::RefreshSettings => "refresh_settings",
            Self::RefreshTemplates => "refresh_templates",
            Self::Confighash => "confighash",
            Self::SynctoDryrun => "syncto_dryrun",
            Self::CommitConfirmFailed => "commit_confirm_failed",
            Self::ApplyConfig => "apply_config",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
