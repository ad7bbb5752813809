use serde::{Deserialize, Serialize};

use crate::{Hostname, InterfaceAddress, InterfaceName};

/// A link between two devices was added, updated or removed. The devices at both its ends are flagged.
///
/// A link that is added or updated takes the place of other links at its interfaces: those are removed, and the devices at their
/// other ends are flagged, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinknetChanged {
    /// What happened to the link.
    pub action: LinknetAction,
    /// One end.
    pub a: LinknetEnd,
    /// The other end.
    pub b: LinknetEnd,
    /// The ends before an update that changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<LinknetEnds>,
}

/// Both ends of a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinknetEnds {
    /// One end.
    pub a: LinknetEnd,
    /// The other end.
    pub b: LinknetEnd,
}

/// One end of a link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LinknetEnd {
    /// The device's hostname.
    pub hostname: Hostname,
    /// The interface on that device.
    pub interface: InterfaceName,
    /// The address of the interface on the link. A message with the address of one end or of both sets both; without any, they stay
    /// as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<InterfaceAddress>,
}

/// What happened to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LinknetAction {
    /// The link is new.
    Added,
    /// The addressing or an end of the link changed.
    Updated,
    /// The link was removed.
    Removed,
}
