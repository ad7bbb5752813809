//! The `data` of events: facts that already happened.

mod device;
mod interface;
mod inventory;
mod linknet;
mod mgmtdomain;
mod repository;

pub use device::{
    DeviceProvisioned, DeviceRemoved, DeviceRenamed, DeviceStateChanged, DeviceUpgraded, ProvisionedNeighbor,
};
pub use interface::{InterfaceUpdated, UpdateKind, UpdatedInterface};
pub use inventory::{
    ImportedClient, ImportedDevice, ImportedGroup, ImportedInterface, ImportedLink, ImportedManagementDomain,
    InventoryImported,
};
pub use linknet::{LinknetAction, LinknetChanged, LinknetEnd, LinknetEnds};
pub use mgmtdomain::{MgmtdomainAction, MgmtdomainChanged, MgmtdomainDevices};
pub use repository::RepositoryChanged;
