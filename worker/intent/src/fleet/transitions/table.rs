use lockstep_protocol::{Cause, Kind};

use super::Effect::{Nothing, Synchronize, Unsynchronize, UnsynchronizeOnlyFor};
use super::States::{Any, Others, Unmanaged};
use super::{Effect, States, Transition};

const REFRESH: &[Kind] = &[
    Kind::RepositoryChanged,
    Kind::RepositoryRefreshRequested,
    Kind::RepositoryTipMoved,
];
const MOVE: &[Kind] = &[
    Kind::DeviceStateChanged,
    Kind::DeviceStateRequested,
    Kind::InventoryImported,
];
const RENAME: &[Kind] = &[Kind::DeviceRenamed, Kind::DeviceRenameRequested];

const fn row(
    id: &'static str,
    event: &'static str,
    kinds: &'static [Kind],
    states: States,
    devices: &'static str,
    effect: Effect,
    cnaas: &'static [&'static str],
) -> Transition {
    Transition {
        id,
        event,
        kinds,
        states,
        devices,
        effect,
        cnaas,
    }
}

#[rustfmt::skip]
pub(super) const TABLE: &[Transition] = &[
    // Repositories.
    row("settings-type", "the settings of a device type change", REFRESH, Any, "all of that type", Unsynchronize(Cause::RefreshSettings), &["TR-settings-devtype"]),
    row("settings-device", "the settings of a device change", REFRESH, Any, "that device", Unsynchronize(Cause::RefreshSettings), &["TR-settings-device"]),
    row("settings-group", "the settings of a group change", REFRESH, Any, "those whose primary group it is", Unsynchronize(Cause::RefreshSettings), &["TR-settings-group"]),
    row("templates", "an entrypoint or a dependency in `mapping.yml` changes", REFRESH, Any, "those of its types on its platform", Unsynchronize(Cause::RefreshTemplates), &["TR-templates"]),
    row("refresh-invalid", "the tip of a repository is invalid", REFRESH, Any, "none", Nothing, &["TR-refresh-error"]),
    row("repository-accept", "an operator takes a commit as accepted", &[Kind::RepositoryAcceptRequested], Any, "none", Nothing, &[]),
    // Interfaces.
    row("interface-configuration", "interfaces are updated, kind `configuration`", &[Kind::InterfaceUpdated], Any, "the device", Unsynchronize(Cause::InterfaceUpdated), &["TR-interface-changed", "TR-update-interfaces"]),
    row("interface-status", "interfaces are updated, kind `status`: such as a bounce", &[Kind::InterfaceUpdated], Any, "the device", Nothing, &["TR-bounce"]),
    // Provisioning.
    row("provisioned", "a device is provisioned (ZTP)", &[Kind::DeviceProvisioned], Any, "the device", Unsynchronize(Cause::DeviceInit), &["TR-init-step2"]),
    row("provisioned-link", "… and a link to a known neighbour is new", &[Kind::DeviceProvisioned], Any, "both ends of the link", Unsynchronize(Cause::LinknetCreated), &["TR-linknet-create"]),
    row("provisioned-replaced", "… which replaces other links at its interfaces", &[Kind::DeviceProvisioned], Any, "their other ends", Unsynchronize(Cause::LinknetDeleted), &[]),
    row("provisioned-known-link", "… and a link to a neighbour exists already", &[Kind::DeviceProvisioned], Any, "the neighbour", Nothing, &[]),
    // States.
    row("to-unmanaged", "a device moves to UNMANAGED", MOVE, Others, "the device", UnsynchronizeOnlyFor(Cause::WasUnmanaged), &["TR-to-unmanaged", "TR-unmanaged-again"]),
    row("unmanaged-again", "a device that is UNMANAGED moves to UNMANAGED", MOVE, Unmanaged, "the device", Nothing, &[]),
    row("to-other", "a device moves to another state than UNMANAGED", MOVE, Any, "the device", Nothing, &["TR-to-managed", "TR-discover"]),
    // Upgrades.
    row("upgraded", "`post_flight` of an upgrade is performed", &[Kind::DeviceUpgraded], Any, "the device", Unsynchronize(Cause::FirmwareUpgrade), &["TR-firmware-changed", "TR-firmware-same"]),
    // Management domains.
    row("mgmtdomain-added", "a management domain is added", &[Kind::MgmtdomainChanged], Any, "its two devices", Unsynchronize(Cause::MgmtdomainCreated), &["TR-mgmtdomain-create"]),
    row("mgmtdomain-updated", "a management domain is updated", &[Kind::MgmtdomainChanged], Any, "its two devices, and the two before", Unsynchronize(Cause::MgmtdomainUpdated), &["TR-mgmtdomain-update"]),
    row("mgmtdomain-removed", "a management domain is removed", &[Kind::MgmtdomainChanged], Any, "its two devices", Unsynchronize(Cause::MgmtdomainDeleted), &["TR-mgmtdomain-delete"]),
    // Links.
    row("linknet-added", "a link is added", &[Kind::LinknetChanged], Any, "both ends", Unsynchronize(Cause::LinknetCreated), &["TR-linknet-create"]),
    row("linknet-updated", "a link is updated", &[Kind::LinknetChanged], Any, "both ends", Unsynchronize(Cause::LinknetUpdated), &["TR-linknet-update"]),
    row("linknet-removed", "a link is removed", &[Kind::LinknetChanged], Any, "both ends", Unsynchronize(Cause::LinknetDeleted), &["TR-linknet-delete"]),
    row("linknet-replaced", "a link that is added or updated replaces others at its interfaces", &[Kind::LinknetChanged], Any, "their other ends", Unsynchronize(Cause::LinknetDeleted), &[]),
    row("linknet-moved", "a link is moved to other ends", &[Kind::LinknetChanged], Any, "its ends before", Unsynchronize(Cause::LinknetDeleted), &[]),
    // Names.
    row("removed", "a device is removed", &[Kind::DeviceRemoved, Kind::DeviceRemoveRequested], Any, "its neighbours by links", Unsynchronize(Cause::NeighborDeleted), &["TR-device-delete", "TR-device-erase"]),
    row("renamed", "a device is renamed", RENAME, Any, "the device", Unsynchronize(Cause::DeviceNameChange), &["TR-rename"]),
    row("renamed-link", "… and has links", RENAME, Any, "its neighbours by links", Unsynchronize(Cause::LinknetNeighborNameChange), &["TR-rename"]),
    row("renamed-configuration", "… and the configuration of interfaces names it as `neighbor`", RENAME, Any, "the devices of those interfaces", Unsynchronize(Cause::NeighborNameChange), &["TR-rename"]),
    row("renamed-same", "a device is renamed to the name that it has", RENAME, Any, "the device", Nothing, &[]),
    // Inventories.
    row("import-new", "an inventory has a new device", &[Kind::InventoryImported], Any, "the device", Unsynchronize(Cause::InventoryImported), &["TR-post-device"]),
    row("import-new-synchronized", "… and says that it is synchronized", &[Kind::InventoryImported], Others, "the device", Synchronize, &[]),
    row("import-known", "an inventory has a device that exists", &[Kind::InventoryImported], Any, "the device", Nothing, &["TR-stackmembers"]),
    row("import-mark", "… and says, with `mark_synchronized`, that it is synchronized", &[Kind::InventoryImported], Any, "the device", Synchronize, &[]),
    row("import-mark-unmanaged", "… and also that it is UNMANAGED now", &[Kind::InventoryImported], Others, "the device", UnsynchronizeOnlyFor(Cause::WasUnmanaged), &["TR-unmanaged-and-true"]),
    row("import-between", "an inventory has a link or a management domain that was not known", &[Kind::InventoryImported], Any, "its devices", Nothing, &[]),
    row("import-address", "an inventory has another address for a link", &[Kind::InventoryImported], Any, "both ends", Unsynchronize(Cause::LinknetUpdated), &[]),
    row("import-link", "an inventory has a link that replaces others at its interfaces", &[Kind::InventoryImported], Any, "both ends", Unsynchronize(Cause::LinknetCreated), &[]),
    row("import-link-replaced", "… and the links that it replaces", &[Kind::InventoryImported], Any, "their other ends", Unsynchronize(Cause::LinknetDeleted), &[]),
    row("import-domain", "an inventory has another content of a management domain", &[Kind::InventoryImported], Any, "its two devices, and the two before", Unsynchronize(Cause::MgmtdomainUpdated), &[]),
    // Operators.
    row("mark-unsynchronized", "an operator marks a device as unsynchronized", &[Kind::DeviceMarkRequested], Any, "the device", Unsynchronize(Cause::MarkedUnsynchronized), &["TR-manual-false"]),
    row("mark-synchronized", "an operator marks a device as synchronized", &[Kind::DeviceMarkRequested], Any, "the device", Synchronize, &["TR-manual-true"]),
    // What changes nothing.
    row("local-change", "somebody changes the configuration on the device itself", &[], Any, "the device", Nothing, &["TR-local-change"]),
    row("facts", "a run reads the facts of a device, also a new version", &[], Any, "the device", Nothing, &["TR-update-facts"]),
    row("run-failed", "a run of a task fails, or is cancelled", &[], Any, "its devices", Nothing, &["TR-live-failed", "TR-job-abort"]),
];
