//! Why a device stopped being synchronized, in the words operators of CNaaS NMS know (`reference/cnaas.md` §1).

use serde::{Deserialize, Serialize};

/// The reason of one flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Interfaces were configured anew.
    InterfaceUpdated,
    /// The device came up by zero-touch provisioning.
    DeviceInit,
    /// A link to it was made.
    LinknetCreated,
    /// It was moved to UNMANAGED.
    WasUnmanaged,
    /// An inventory said that it is not synchronized.
    InventoryImported,
    /// The settings repository changed what concerns it.
    RefreshSettings,
    /// The templates repository changed what it is rendered from.
    RefreshTemplates,
}

impl Cause {
    /// Every cause.
    pub const ALL: &[Self] = &[
        Self::InterfaceUpdated,
        Self::DeviceInit,
        Self::LinknetCreated,
        Self::WasUnmanaged,
        Self::InventoryImported,
        Self::RefreshSettings,
        Self::RefreshTemplates,
    ];

    /// The cause as it is written on the wire and in the store.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InterfaceUpdated => "interface_updated",
            Self::DeviceInit => "device_init",
            Self::LinknetCreated => "linknet_created",
            Self::WasUnmanaged => "was_unmanaged",
            Self::InventoryImported => "inventory_imported",
            Self::RefreshSettings => "refresh_settings",
            Self::RefreshTemplates => "refresh_templates",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
